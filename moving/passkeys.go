package moving

import (
	"context"
	"errors"
	"fmt"

	"waggle/passkey"
)

// passkeysAtOnce is how many passkeys are written at a time, if the store takes so many.
const passkeysAtOnce = 100

// passkeys copies passkeys and what was counted for them. Those that are there stay.
func (c *copying) passkeys(ctx context.Context) error {
	ids, keys := map[string]bool{}, map[string]string{}
	for p, err := range c.to.Passkeys.Passkeys(ctx) {
		if err != nil {
			return fmt.Errorf("reading the other store's passkeys: %w", err)
		}
		ids[p.ID], keys[p.Key] = true, p.ID
	}
	var changes []passkey.Change
	for p, err := range c.from.Passkeys.Passkeys(ctx) {
		if err != nil {
			return fmt.Errorf("reading passkeys: %w", err)
		}
		if other, taken := keys[p.Key]; ids[p.ID] && !c.o.Overwrite || taken && other != p.ID {
			continue
		}
		changes = append(changes, passkey.Change{Record: p.Record, Totals: &p.Totals})
	}
	for step := passkeysAtOnce; len(changes) > 0; {
		some := changes[:min(step, len(changes))]
		err := c.to.Passkeys.Apply(ctx, some)
		switch {
		case errors.Is(err, passkey.ErrTooMuch) && step > 1:
			step /= 2
			continue
		case err != nil:
			return fmt.Errorf("writing passkeys: %w", err)
		}
		changes = changes[len(some):]
		c.rest.Passkeys += len(some)
		c.report()
	}
	return nil
}

// passkeys reads all passkeys: what is damaged is an error, and two with one secret are wrong.
func (c *checking) passkeys(ctx context.Context) error {
	keys := map[string]string{}
	for p, err := range c.Passkeys.Passkeys(ctx) {
		if err != nil {
			return fmt.Errorf("reading passkeys: %w", err)
		}
		if other, twice := keys[p.Key]; twice {
			c.say("the passkeys %s and %s have the same secret: delete one of them", other, p.ID)
		}
		keys[p.Key] = p.ID
		c.result.Passkeys++
		c.progress(c.result)
	}
	return nil
}
