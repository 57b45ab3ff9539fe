"""The steps of settlement, as functions that commands and the console call.

Each takes a Desk (what to work with, and when) and a Person (who does it), and is done once: called again it makes what
is missing and returns what stands. The order is that of 000仕4 and 001-4:

    disclose -> the operator reconciles over its line -> accept -> confirm -> invoice -> pay

confirm freezes the period for the whole centre and lays the municipalities' data ready; at an inquiry centre invoice
freezes the quarter itself. A step out of order or outside its days raises StepRefused, and two persons may force most.
"""

from gateway.settlement.admission import Person
from gateway.settlement.conduct_disclosing import accept, disclose
from gateway.settlement.conduct_freezing import confirm
from gateway.settlement.conduct_invoicing import invoice
from gateway.settlement.conduct_paying import pay
from gateway.settlement.conduct_status import Status, status
from gateway.settlement.desk import Desk

__all__ = ["Desk", "Person", "Status", "accept", "confirm", "disclose", "invoice", "pay", "status"]
