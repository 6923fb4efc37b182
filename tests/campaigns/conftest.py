from tests.touch.conftest import shipped_limits, wednesday_morning

__all__ = ["shipped_limits", "wednesday_morning"]
