package config

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is the one type of every length of time in the configuration and in flags. It is never negative.
//
// It is written as seconds (90) or as a number with one of the units d, h, m, s: 30d, 10h, 1.5h, .5m. In the configuration an integer
// and a string are both accepted.
type Duration time.Duration

// durationText is the whole grammar. The length is bounded so that a hostile number costs nothing.
var durationText = regexp.MustCompile(`^([0-9]+|([0-9]*[.]?[0-9]+)([dhms]))$`)

const (
	durationPattern = `^([0-9]+|[0-9]*[.]?[0-9]+[dhms])$`
	durationHint    = "write seconds (90) or a number with d, h, m or s, such as 30d, 10h, 1.5h or .5m"
	durationMaxText = 40
)

var durationUnits = map[string]time.Duration{
	"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// ParseDuration reads text such as 30d, 10h, 1.5h, .5m or 10 (seconds). The error quotes text and says what to write instead.
func ParseDuration(text string) (Duration, error) {
	d, problem := parseDuration(text)
	if problem != "" {
		return 0, fmt.Errorf("%s %s", quote(text), problem)
	}
	return d, nil
}

// parseDuration is ParseDuration with a predicate for an error, so that the caller decides whether text may be quoted.
func parseDuration(text string) (Duration, string) {
	if strings.HasPrefix(text, "-") {
		return 0, "is not a duration, because it is negative; " + durationHint
	}
	match := durationText.FindStringSubmatch(text)
	if match == nil || len(text) > durationMaxText {
		return 0, "is not a duration; " + durationHint
	}
	number := match[2]
	if number == "" {
		number = match[1]
	}
	return scaleDuration(number, durationUnits[match[3]])
}

// scaleDuration multiplies exactly; what is finer than a nanosecond is cut off.
func scaleDuration(number string, unit time.Duration) (Duration, string) {
	value, ok := new(big.Rat).SetString("0" + number)
	if !ok {
		return 0, "is not a duration; " + durationHint
	}
	value.Mul(value, new(big.Rat).SetInt64(int64(unit)))
	whole := new(big.Int).Quo(value.Num(), value.Denom())
	if !whole.IsInt64() {
		days := int64(math.MaxInt64 / (24 * time.Hour))
		return 0, fmt.Sprintf("is too long for a duration; the longest is %dd", days)
	}
	return Duration(whole.Int64()), ""
}

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the shortest text that ParseDuration reads as d: 30d, 90m, 1s, 0.5s.
func (d Duration) String() string {
	if d == 0 {
		return "0"
	}
	for _, unit := range []string{"d", "h", "m", "s"} {
		if size := Duration(durationUnits[unit]); d%size == 0 {
			return strconv.FormatInt(int64(d/size), 10) + unit
		}
	}
	whole, fraction := d/Duration(time.Second), d%Duration(time.Second)
	return fmt.Sprintf("%d.%s", whole, strings.TrimRight(fmt.Sprintf("%09d", fraction), "0")) + "s"
}

// MarshalText writes d as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads, so that a flag of this type has the same grammar.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
