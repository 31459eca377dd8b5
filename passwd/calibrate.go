package passwd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/argon2"
)

// A CalibrateConfig says what [Calibrate] looks for.
type CalibrateConfig struct {
	// Target is how long one hash may take. Zero means 250 ms.
	Target time.Duration
	// Memory is the most that one hash may take, in KiB: a server needs it once for each hash that it works at. Zero means 65536 (64 MiB).
	Memory uint32
	// Threads is the number of lanes. Zero means 1.
	Threads uint8
	// Progress is called with each measurement, if it is not nil.
	Progress func(Measurement)
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A Measurement is how long one hash takes on this machine while it does nothing else.
type Measurement struct {
	Params Params
	Took   time.Duration
}

// Calibrate measures this machine, for a few times Target, and returns the strongest parameters that take at most Target: as much memory as allowed, halved
// as long as its least number of passes takes too long, and then as many passes as fit. If even the cheapest parameters that a [Config] takes
// are too slow, it returns those, and Took is longer than Target. The error is ctx's, or says what is wrong with c.
func Calibrate(ctx context.Context, c CalibrateConfig) (Measurement, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	return calibrate(ctx, c, stopwatch(c.Now))
}

// stopwatch returns the clock of one hash: the middle one of three.
func stopwatch(now func() time.Time) func(Params) time.Duration {
	return func(p Params) time.Duration {
		took := make([]time.Duration, 3)
		for i := range took {
			salt, start := random(saltLength), now()
			argon2.IDKey([]byte("a password to measure"), salt, p.Time, p.Memory, p.Threads, tagLength)
			took[i] = now().Sub(start)
		}
		slices.Sort(took)
		return took[1]
	}
}

func calibrate(ctx context.Context, c CalibrateConfig, clock func(Params) time.Duration) (Measurement, error) {
	if c.Target == 0 {
		c.Target = 250 * time.Millisecond
	}
	if c.Memory == 0 {
		c.Memory = 64 << 10
	}
	if c.Target < 0 {
		return Measurement{}, errors.New("passwd: the target is negative")
	}
	p := cheapest(Params{Memory: c.Memory, Threads: max(c.Threads, 1)})
	if err := cmp.Or(p.strong(), p.check()); err != nil {
		return Measurement{}, fmt.Errorf("passwd: %s cannot be: %w", p, err)
	}
	m := meter{ctx, c, clock}
	least, err := m.measure(p)
	for err == nil && least.Took > c.Target && least.Params.Memory > floorMem {
		smaller := Params{Memory: max(least.Params.Memory/2, floorMem), Threads: p.Threads}
		least, err = m.measure(cheapest(smaller))
	}
	if err != nil || least.Took > c.Target {
		return least, err
	}
	return m.passes(least)
}

// cheapest sets the least number of passes for the memory.
func cheapest(p Params) Params {
	p.Time = max(1, (floorCost+p.Memory-1)/max(p.Memory, 1))
	return p
}

// A meter measures, until its context ends.
type meter struct {
	ctx   context.Context
	c     CalibrateConfig
	clock func(Params) time.Duration
}

func (m meter) measure(p Params) (Measurement, error) {
	if err := m.ctx.Err(); err != nil {
		return Measurement{}, fmt.Errorf("passwd: measuring was given up: %w", err)
	}
	found := Measurement{p, m.clock(p)}
	if m.c.Progress != nil {
		m.c.Progress(found)
	}
	return found, nil
}

// passes finds the most passes that fit into the target, beginning with parameters that do: it guesses from what they took, and takes back what was too
// much.
func (m meter) passes(fits Measurement) (Measurement, error) {
	p := fits.Params
	most := min(maxPasses, maxArgon/p.Memory)
	perPass := max(fits.Took/time.Duration(p.Time), 1)
	guess := uint32(min(time.Duration(most), m.c.Target/perPass))
	for ; guess > fits.Params.Time; guess-- {
		p.Time = guess
		got, err := m.measure(p)
		if err != nil {
			return Measurement{}, err
		}
		if got.Took <= m.c.Target {
			return got, nil
		}
	}
	return fits, nil
}
