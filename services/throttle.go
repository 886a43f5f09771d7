package services

import (
	"context"
	"maps"
	"net/netip"
	"strconv"
	"time"
)

// RateClass names a limit on the requests of a client's address.
type RateClass string

// The classes. Each but RateExempt counts by itself: logins that are refused
// keep nobody from refreshing.
const (
	RateOverall  RateClass = ""         // of every request
	RateExempt   RateClass = "exempt"   // of what is never refused: probes, and keys that other servers fetch
	RateLogin    RateClass = "login"    // of what compares a password
	RateRefresh  RateClass = "refresh"  // of what renews a session
	RateRegister RateClass = "register" // of what makes accounts
	RateMail     RateClass = "mail"     // of what sends mail to whoever is named
	RateLinks    RateClass = "links"    // of what takes a token in the body or the path
)

var rates = map[RateClass]Rate{
	RateOverall:  {Requests: 100, Per: time.Second, Burst: 500},
	RateLogin:    {Requests: 30, Per: time.Minute, Burst: 30},
	RateRefresh:  {Requests: 60, Per: time.Minute, Burst: 60},
	RateRegister: {Requests: 10, Per: time.Hour, Burst: 10},
	RateMail:     {Requests: 10, Per: time.Minute, Burst: 10},
	RateLinks:    {Requests: 60, Per: time.Minute, Burst: 60},
}

// Throttle holds each client's address to the rates of the classes. A nil one
// refuses nobody.
type Throttle struct{ limiters map[RateClass]*Limiter }

// NewThrottle makes the limits; now is the clock. They hold for all processes
// that share them; that of every request roughly, for it must cost little.
func NewThrottle(now func() time.Time, shared *Shared) *Throttle {
	t := &Throttle{limiters: map[RateClass]*Limiter{}}
	for class, rate := range rates {
		limiter := NewLimiter(rate, now)
		if class == RateOverall {
			limiter.roughlySharedWith(shared, "overall", rate)
		} else {
			limiter.sharedWith(shared, string(class), rate)
		}
		t.limiters[class] = limiter
	}
	return t
}

// Allow counts a request of a class from an address, or fails with
// CodeThrottled. What is refused does not count.
func (t *Throttle) Allow(ctx context.Context, class RateClass, address string) error {
	if t == nil || class == RateExempt {
		return nil
	}
	if wait, ok := t.limiters[class].Allow(ctx, ClientKey(address)); !ok {
		return Throttled(wait)
	}
	return nil
}

// ClientKey gives what stands for the client at an address: an IPv4 address
// itself; of an IPv6 address its /64, for that is what one customer has.
func ClientKey(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return address // "" is all those whose address cannot be told
	}
	addr = addr.Unmap()
	if addr.Is6() {
		return netip.PrefixFrom(addr.WithZone(""), 64).Masked().String()
	}
	return addr.String()
}

// Throttled is the refusal of what may be tried again after a wait. The text is
// Django REST Framework's.
func Throttled(wait time.Duration) *Error {
	seconds := max(1, (wait+time.Second-1)/time.Second)
	text := "Request was throttled. Expected available in " + strconv.FormatInt(int64(seconds), 10) + " second"
	if seconds != 1 {
		text += "s"
	}
	return &Error{Code: CodeThrottled, Message: text + ".", RetryAfter: seconds * time.Second}
}

// bounded is a map of at most so many keys. One more is never refused: others
// are forgotten for it.
type bounded[V any] struct {
	limit   int
	entries map[string]V
}

func newBounded[V any](limit int) bounded[V] {
	return bounded[V]{limit: limit, entries: map[string]V{}}
}

// put sets what a key has. Where there is no room, first those at rest are
// forgotten, who lose nothing by it, then others as they come, until an eighth
// is free: looking at all of them is to pay for many that are put.
func (b *bounded[V]) put(key string, value V, atRest func(V) bool) {
	if _, known := b.entries[key]; !known && len(b.entries) >= b.limit {
		maps.DeleteFunc(b.entries, func(_ string, v V) bool { return atRest(v) })
		room := max(1, b.limit/8)
		for key := range b.entries {
			if len(b.entries) <= b.limit-room {
				break
			}
			delete(b.entries, key)
		}
	}
	b.entries[key] = value
}
