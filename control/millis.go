package control

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Millis is a length of time that JSON shows as a number of milliseconds, with
// up to three decimals. Names of such fields end in _ms.
type Millis time.Duration

// Duration returns d as what it is.
func (d Millis) Duration() time.Duration { return time.Duration(d) }

// MarshalJSON implements [json.Marshaler].
func (d Millis) MarshalJSON() ([]byte, error) {
	ms := float64(time.Duration(d).Round(time.Microsecond)) / float64(time.Millisecond)
	return strconv.AppendFloat(nil, ms, 'f', -1, 64), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Millis) UnmarshalJSON(text []byte) error {
	var ms float64
	if err := json.Unmarshal(text, &ms); err != nil {
		return fmt.Errorf("%s is not a number of milliseconds", text)
	}
	micros := math.Round(ms * 1000)
	if math.Abs(micros) >= math.MaxInt64/1000 {
		return fmt.Errorf("%s milliseconds are too many", text)
	}
	*d = Millis(int64(micros)) * Millis(time.Microsecond)
	return nil
}
