"""The ops process: `python -m gateway.app.ops`, started by the supervisor.

Checkpoints every second where there are new blocks, the projection people query, next months' partitions, and the
endpoint for metrics and health. Source: DESIGN sections 2, 4 and 12.
"""

import os
import signal
import time

import structlog
import trio
from prometheus_client import CollectorRegistry

from gateway.app.children import Birth, Word, configuration_path, read_birth, say
from gateway.app.configuration import Configuration, ConfigurationError, address, read_configuration
from gateway.app.keys import signer
from gateway.app.work import _Stop, _stop_with_parent, now_us
from gateway.host import run_guest
from gateway.ledger.checkpointing import Checkpointer
from gateway.ledger.projection import project
from gateway.ops.exposition import Exposition, prepare_multiprocess
from gateway.ops.logs import configure_logging
from gateway.ops.metrics import OpsMetrics
from gateway.ops.web import Check, ops_app, serve_ops
from gateway.store.errors import StoreError
from gateway.store.pool import Database, open_database
from hsm.errors import HsmError
from hsm.opening import open_keystore, passphrase_from_file
