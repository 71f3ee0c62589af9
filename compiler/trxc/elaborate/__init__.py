"""From a program's text to its IR: layers instantiated, sizes checked, everything known at compile time evaluated."""
