package services

import (
	"maps"
	"net/netip"
	"strconv"
	"sync"
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

// NewThrottle makes the limits; now is the clock.
func NewThrottle(now func() time.Time) *Throttle {
	t := &Throttle{limiters: map[RateClass]*Limiter{}}
	for class, rate := range rates {
		t.limiters[class] = NewLimiter(rate, now)
	}
	return t
}

// Allow counts a request of a class from an address, or fails with
// CodeThrottled. What is refused does not count.
func (t *Throttle) Allow(class RateClass, address string) error {
	if t == nil || class == RateExempt {
		return nil
	}
	if wait, ok := t.limiters[class].Allow(ClientKey(address)); !ok {
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

// Rate is so many requests per period, of which Burst may come at once.
type Rate struct {
	Requests int
	Per      time.Duration
	Burst    int
}

// maxThrottled is how many keys a limiter remembers; it takes some megabytes.
const maxThrottled = 100_000

// Limiter holds each key to a rate, by the generic cell rate algorithm (ITU-T
// I.371): all it keeps of a key is when the next request would be due if those
// so far had come evenly spaced.
type Limiter struct {
	spacing time.Duration
	ahead   time.Duration // how far that moment may lie ahead
	now     func() time.Time
	start   time.Time // moments are counted from here, so that a step of the wall clock moves none

	mu   sync.Mutex
	next bounded[time.Duration]
}

// NewLimiter makes a limiter; now is the clock.
func NewLimiter(rate Rate, now func() time.Time) *Limiter {
	spacing := rate.Per / time.Duration(rate.Requests)
	return &Limiter{
		spacing: spacing, ahead: spacing * time.Duration(rate.Burst),
		now: now, start: now(), next: newBounded[time.Duration](maxThrottled),
	}
}

// Allow counts a request of a key, or tells how long it has to wait. What is
// refused does not count.
func (l *Limiter) Allow(key string) (retryAfter time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now().Sub(l.start)
	next := max(l.next.entries[key], now) + l.spacing
	if wait := next - now - l.ahead; wait > 0 {
		return wait, false
	}
	l.next.put(key, next, func(next time.Duration) bool { return next <= now })
	return 0, true
}

// giveBack undoes an Allow whose request came to nothing.
func (l *Limiter) giveBack(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if next, known := l.next.entries[key]; known {
		l.next.entries[key] = next - l.spacing
	}
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
