"""Money: an exact decimal with its currency, never a float."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Money:
    amount: Decimal
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.amount + other.amount, self.currency)

    def rounded(self) -> Decimal:
        return self.amount.quantize(CENT, ROUND_HALF_EVEN)

    def as_json(self) -> dict[str, str]:
        """Strings, as the API promises; four digits, so that a second of a small size is not zero."""
        return {
            "amount": str(self.amount.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)),
            "currency": self.currency,
        }
