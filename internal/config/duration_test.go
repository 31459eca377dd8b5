package config

import (
	"encoding"
	"strings"
	"testing"
	"time"
)

// A kong flag of this type is read by its UnmarshalText.
var (
	_ encoding.TextUnmarshaler = (*Duration)(nil)
	_ encoding.TextMarshaler   = Duration(0)
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"10": 10 * time.Second, "0": 0, "010": 10 * time.Second, "30d": 30 * day, "10h": 10 * time.Hour, "1.5h": 90 * time.Minute,
		".5m": 30 * time.Second, "0.001s": time.Millisecond, "00.5d": 12 * time.Hour, "90m": 90 * time.Minute, "106751d": 106751 * day,
		"0d": 0, "1.0000000009s": time.Second,
	} {
		if got, err := ParseDuration(text); err != nil || got.Std() != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "1w", "30D", "-1d", "1 d", "d", "5.s", "1e3s", "1.5", ".5", ".", ".s", "1h30m", "1ms", "1us", "+1s", "1_000", "0x10", "inf", "NaN", "٣s", "1d ", " 1d",
		"1d\n", "106752d", "9223372037", "99999999999999999999d", strings.Repeat("9", 41) + "s", strings.Repeat("0", 1<<20), "1,5h", "true", "null", "--1s",
	} {
		got, err := ParseDuration(text)
		if err == nil || got != 0 {
			t.Errorf("ParseDuration(%.50q) = %v, want an error", text, got)
			continue
		}
		if !strings.Contains(err.Error(), "30d") && !strings.Contains(err.Error(), "106751d") {
			t.Errorf("ParseDuration(%.50q): %v, want an example", text, err)
		}
		if len(err.Error()) > 300 {
			t.Errorf("ParseDuration of a long text: the error has %d bytes", len(err.Error()))
		}
	}
}

func TestDurationString(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", time.Second: "1s", 90 * time.Second: "90s", 2 * time.Minute: "2m", 90 * time.Minute: "90m", 48 * time.Hour: "2d",
		1500 * time.Millisecond: "1.5s", time.Nanosecond: "0.000000001s", 36 * time.Hour: "36h",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("Duration(%v).String() = %s, want %s", d, got, want)
		}
		back, err := ParseDuration(want)
		if err != nil || back.Std() != d {
			t.Errorf("ParseDuration(%s) = %v, %v, want %v", want, back, err, d)
		}
	}
}

func TestDurationText(t *testing.T) {
	var d Duration
	if err := d.UnmarshalText([]byte("1.5h")); err != nil || d.Std() != 90*time.Minute {
		t.Errorf("UnmarshalText(1.5h) = %v, %v", d, err)
	}
	if err := d.UnmarshalText([]byte("1w")); err == nil || d.Std() != 90*time.Minute {
		t.Errorf("UnmarshalText(1w) = %v, %v, want an error and no change", d, err)
	}
	if text, err := d.MarshalText(); err != nil || string(text) != "90m" {
		t.Errorf("MarshalText() = %s, %v, want 90m", text, err)
	}
}
