from tests.touch.conftest import wednesday_morning

__all__ = ["wednesday_morning"]
