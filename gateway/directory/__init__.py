"""Who may do what: parties, lines, contracts, affairs, staff, hours, suspension; whole, versioned, decided purely."""

from gateway.directory.directory import Directory as Directory
from gateway.directory.errors import DirectoryEmpty as DirectoryEmpty
from gateway.directory.errors import DirectoryError as DirectoryError
from gateway.directory.errors import DirectoryInvalid as DirectoryInvalid
from gateway.directory.errors import DirectoryStale as DirectoryStale
from gateway.directory.holder import DirectoryHolder as DirectoryHolder
from gateway.directory.model import Document as Document
from gateway.directory.model import Role as Role
from gateway.directory.policy import Granted as Granted
from gateway.directory.policy import Refused as Refused
from gateway.directory.policy import Standing as Standing
from gateway.directory.policy import decide as decide
