package settings

import (
	"fmt"
	"math/big"
	"strconv"

	"github.com/metaml/metaml/internal/lazyregexp"
)

// quantity is a number with a suffix, as Kubernetes writes amounts (its resource.Quantity).
var quantity = lazyregexp.New(`^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,2}))?$`)

// maxQuantity bounds the text of a quantity, in bytes.
const maxQuantity = 40

// powers are the suffixes: of 10, and of 2 those that end in i.
var powers = map[string]int{
	"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
	"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60,
}

// parseQuantity gives the exact value of a quantity.
func parseQuantity(text string) (*big.Rat, bool) {
	m := quantity.FindStringSubmatch(text)
	if m == nil || len(text) > maxQuantity {
		return nil, false
	}
	value, ok := new(big.Rat).SetString(m[1])
	if !ok {
		return nil, false
	}
	base, power := int64(10), powers[m[2]]
	if m[3] != "" {
		power, _ = strconv.Atoi(m[3]) // two digits with a sign
	} else if power > 0 && m[2][len(m[2])-1] == 'i' {
		base = 2
	}
	factor := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(max(power, -power))), nil))
	if power < 0 {
		factor.Inv(factor)
	}
	return value.Mul(value, factor), true
}

// maxCores is far above the cores of any machine.
const maxCores = 1_000_000

// ParseCores gives an amount of CPU in thousandths of a core, the finest that Kubernetes takes. The error is the rest
// of a sentence that begins with the name of the setting.
func ParseCores(text string) (milli int64, err error) {
	value, ok := parseQuantity(text)
	if !ok {
		return 0, fmt.Errorf("takes a number of cores, such as 2, 0.5 or 500m, not %q", text)
	}
	value.Mul(value, big.NewRat(1000, 1))
	switch {
	case value.Sign() == 0 || value.Cmp(big.NewRat(maxCores*1000, 1)) > 0:
		return 0, fmt.Errorf("must be above 0 and at most %s cores, not %q", people(maxCores), text)
	case !value.IsInt():
		return 0, fmt.Errorf("counts thousandths of a core (1m) at the finest, not %q", text)
	}
	return value.Num().Int64(), nil
}

// A Python does not start in less than the first; the second is above the memory of any machine.
const (
	minMemory = 1 << 20
	maxMemory = 1 << 50
)

// ParseMemory gives an amount of memory in bytes. The error is the rest of a sentence that begins with the name of the
// setting.
func ParseMemory(text string) (bytes int64, err error) {
	value, ok := parseQuantity(text)
	switch {
	case !ok:
		return 0, fmt.Errorf("takes an amount of memory, such as 4Gi or 500Mi, not %q", text)
	case value.Cmp(big.NewRat(minMemory, 1)) < 0:
		number, _ := value.Float64()
		return 0, fmt.Errorf("takes an amount of memory, such as 4Gi or 500Mi, and %s is %s bytes", text,
			strconv.FormatFloat(number, 'f', -1, 64))
	case value.Cmp(big.NewRat(maxMemory, 1)) > 0:
		return 0, fmt.Errorf("must be at most 1Pi, not %q", text)
	}
	whole, rest := new(big.Int).QuoRem(value.Num(), value.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	return whole.Int64(), nil
}
