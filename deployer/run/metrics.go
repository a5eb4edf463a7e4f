package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
)

// Metrics maps a metric's name to its value. NaN and the infinities survive JSON, as the strings "nan", "inf" and
// "-inf".
type Metrics map[string]float64

// MarshalJSON writes the values that JSON has no numbers for as strings.
func (m Metrics) MarshalJSON() ([]byte, error) {
	plain := make(map[string]any, len(m))
	for name, v := range m {
		switch {
		case math.IsNaN(v):
			plain[name] = "nan"
		case math.IsInf(v, 1):
			plain[name] = "inf"
		case math.IsInf(v, -1):
			plain[name] = "-inf"
		default:
			plain[name] = v
		}
	}
	return json.Marshal(plain)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Metrics) UnmarshalJSON(data []byte) error {
	var plain map[string]any
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&plain); err != nil {
		return err
	}
	out := make(Metrics, len(plain))
	for name, v := range plain {
		switch v := v.(type) {
		case float64:
			out[name] = v
		case string:
			switch v {
			case "nan":
				out[name] = math.NaN()
			case "inf":
				out[name] = math.Inf(1)
			case "-inf":
				out[name] = math.Inf(-1)
			default:
				return fmt.Errorf("metric %q: %q is no number", name, v)
			}
		default:
			return fmt.Errorf("metric %q: no number", name)
		}
	}
	*m = out
	return nil
}
