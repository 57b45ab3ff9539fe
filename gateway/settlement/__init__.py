"""Settlement: every yen from the ledger to the bank, by the dates and rules of the contracts."""
