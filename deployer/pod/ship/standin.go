package ship

import (
	_ "embed"
)

// StandIn is the module metaml.py for a program that runs where MetaML is not.
//
//go:embed standin.py
var StandIn []byte
