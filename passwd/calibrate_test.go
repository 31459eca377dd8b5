package passwd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// machine returns a clock that takes so long for each pass over a MiB, and writes down what it was asked for.
func machine(perMiB time.Duration, asked *[]Params) func(Params) time.Duration {
	return func(p Params) time.Duration {
		*asked = append(*asked, p)
		return time.Duration(p.Memory) * time.Duration(p.Time) * perMiB / 1024
	}
}

func TestCalibrate(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name   string
		perMiB time.Duration
		c      CalibrateConfig
		want   Params
		took   time.Duration
	}{
		{"as usual", ms, CalibrateConfig{}, Params{65536, 3, 1}, 192 * ms},
		{"a fast machine", ms / 10, CalibrateConfig{}, Params{65536, 16, 1}, 1024 * ms / 10}, // 16 passes are the most over 64 MiB
		{"a fast machine, little memory", ms / 10, CalibrateConfig{Memory: 8192}, Params{8192, 64, 1}, 512 * ms / 10},
		{"just fits", ms, CalibrateConfig{Target: 64 * ms}, Params{65536, 1, 1}, 64 * ms},
		{"memory is too much", ms, CalibrateConfig{Target: 63 * ms}, Params{16384, 3, 1}, 48 * ms}, // 32 MiB need two passes, which is no less work
		{"a slow machine", 4 * ms, CalibrateConfig{Target: 150 * ms}, Params{7168, 5, 1}, 140 * ms},
		{"too slow for anything", 40 * ms, CalibrateConfig{Target: 150 * ms}, Params{7168, 5, 1}, 1400 * ms},
		{"more passes", ms, CalibrateConfig{Memory: 19456}, Params{19456, 13, 1}, 247 * ms},
		{"lanes", ms, CalibrateConfig{Memory: 19456, Threads: 4}, Params{19456, 13, 4}, 247 * ms},
	} {
		var asked []Params
		shown := 0
		test.c.Progress = func(m Measurement) {
			if shown++; m.Params != asked[len(asked)-1] {
				t.Errorf("%s: progress shows %v, want what was measured", test.name, m)
			}
		}
		got, err := calibrate(t.Context(), test.c, machine(test.perMiB, &asked))
		if err != nil || got != (Measurement{test.want, test.took}) {
			t.Errorf("%s: calibrate = %+v, %v, want %v in %v", test.name, got, err, test.want, test.took)
		}
		if shown != len(asked) || len(asked) > 8 {
			t.Errorf("%s: %d measurements %v, %d shown, want all shown and few", test.name, len(asked), asked, shown)
		}
		if err := errors.Join(got.Params.check(), got.Params.strong()); err != nil {
			t.Errorf("%s: New would refuse the result: %v", test.name, err)
		}
	}
}

// TestCalibrateTakesBack: where more passes took longer than was to be expected, there are fewer.
func TestCalibrateTakesBack(t *testing.T) {
	clock := func(p Params) time.Duration { return time.Duration(p.Time*p.Time) * 10 * time.Millisecond }
	got, err := calibrate(t.Context(), CalibrateConfig{Target: 100 * time.Millisecond}, clock)
	if want := (Measurement{Params{65536, 3, 1}, 90 * time.Millisecond}); err != nil || got != want {
		t.Errorf("calibrate = %+v, %v, want %+v", got, err, want)
	}
}

func TestCalibrateRefuses(t *testing.T) {
	for _, test := range []struct {
		c    CalibrateConfig
		want string
	}{
		{CalibrateConfig{Target: -1}, "the target is negative"},
		{CalibrateConfig{Memory: 7167}, "less than a password hash has to cost"},
		{CalibrateConfig{Memory: 262145}, "262145 KiB of memory"},
		{CalibrateConfig{Threads: 17}, "17 threads"},
	} {
		asked := 0
		_, err := calibrate(t.Context(), test.c, func(Params) time.Duration { asked++; return 1 })
		if err == nil || !strings.Contains(err.Error(), test.want) || asked > 0 {
			t.Errorf("calibrate(%+v) = %v after %d measurements, want %q and none", test.c, err, asked, test.want)
		}
	}
}

func TestCalibrateIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	_, err := calibrate(ctx, CalibrateConfig{}, func(Params) time.Duration {
		if asked++; asked == 2 {
			cancel()
		}
		return time.Hour
	})
	if !errors.Is(err, context.Canceled) || asked != 2 {
		t.Errorf("calibrate = %v after %d measurements, want canceled after two", err, asked)
	}
}

// TestCalibrateMeasures the machine itself, shortly. What it says depends on the machine, so only its form is looked at.
func TestCalibrateMeasures(t *testing.T) {
	got, err := Calibrate(t.Context(), CalibrateConfig{Target: 1, Memory: 7168})
	if err != nil || got.Params != (Params{7168, 5, 1}) || got.Took <= 0 {
		t.Errorf("Calibrate = %+v, %v, want the cheapest parameters and how long they took", got, err)
	}
}

// TestCalibrateTakesTheMiddle of three measurements: something else that runs for a moment changes nothing.
func TestCalibrateTakesTheMiddle(t *testing.T) {
	steps := []time.Duration{0, 5 * time.Second, 0, time.Second, 0, 9 * time.Second} // begin and end of each
	at, now := 0, time.Unix(0, 0)
	got, err := Calibrate(t.Context(), CalibrateConfig{Target: 2 * time.Second, Memory: 7168, Now: func() time.Time {
		now = now.Add(steps[at%len(steps)])
		at++
		return now
	}})
	if err != nil || got.Took != 5*time.Second {
		t.Errorf("Calibrate where hashes take 5, 1 and 9 s = %+v, %v, want 5 s", got, err)
	}
}
