"""What can go wrong while a network is cut, changed or rebuilt.

SpaceError                  everything below; the message is one line for people
 +- PluginError             a plug-in is broken, incomplete or takes a name twice
 +- BackboneError           no such backbone, or its source is not installed
 +- WeightsError            weights missing, damaged, or made for another network
 +- ChainError              a network that cannot be cut into a chain of units
 +- ProbeError              an input size the network does not accept
 +- SurgeryError            an edit that this module does not allow
 +- CandidateError          candidate data that does not fit this space, backbone or version
 +- RangeError              a range in a study file that is empty or out of bounds
"""


class SpaceError(Exception):
    """Anything wrong with a structure; ``str(error)`` is one line that says what to do."""


class PluginError(SpaceError):
    """A plug-in cannot be used; names the file or the distribution it came from."""


class BackboneError(SpaceError):
    """The backbone's name is unknown or its source is not installed."""


class WeightsError(SpaceError):
    """Weights are missing, damaged, or belong to another network."""


class ChainError(SpaceError):
    """The network cannot be cut into a chain of units."""


class ProbeError(SpaceError):
    """The network does not run on an input of the size asked for."""


class SurgeryError(SpaceError):
    """The edit is not possible on this module."""


class CandidateError(SpaceError):
    """The candidate does not fit the backbone, the space or this version."""


class RangeError(SpaceError):
    """A range is empty, reversed or beyond what the decision can do."""


def first_line(error: BaseException) -> str:
    """Return the first line of a library's message that says anything; without one, the kind of error."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
