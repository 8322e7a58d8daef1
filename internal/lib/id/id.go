// Package id is in charge of ids: making them in each of Misskey's forms,
// reading the time out of them, and making the synthetic ids that date bounds
// turn into. An id is a text that sorts in C order by time.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Method is a form of id.
type Method string

// The forms Misskey knows (behaviour 2.4).
const (
	AID      Method = "aid"      // 8 base36 ms since 2000, 2 counter
	AIDX     Method = "aidx"     // 8 base36 ms since 2000, 4 node, 4 counter
	MEID     Method = "meid"     // 12 hex of ms + 0x800000000000, 12 random
	MEIDG    Method = "meidg"    // g, 11 hex ms, 12 random
	ULID     Method = "ulid"     // 10 Crockford base32 ms, 16 random
	ObjectID Method = "objectid" // 8 hex seconds, 16 random
)

// ErrFormat says that a text is no id of the form.
var ErrFormat = errors.New("not an id")

const (
	epoch2000 = 946684800000 // ms, 2000-01-01T00:00:00Z
	meidBase  = 0x800000000000
	crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	digits36  = "0123456789abcdefghijklmnopqrstuvwxyz"
)

var forms = map[Method]*regexp.Regexp{
	AID:      regexp.MustCompile(`^[0-9a-z]{10}$`),
	AIDX:     regexp.MustCompile(`^[0-9a-z]{16}$`),
	MEID:     regexp.MustCompile(`^[0-9a-f]{24}$`),
	MEIDG:    regexp.MustCompile(`^g[0-9a-f]{23}$`),
	ULID:     regexp.MustCompile(`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`),
	ObjectID: regexp.MustCompile(`^[0-9a-f]{24}$`),
}

// ParseMethod reads the name of a form.
func ParseMethod(s string) (Method, error) {
	if _, ok := forms[Method(s)]; !ok {
		return "", fmt.Errorf("id method %q: want aid, aidx, meid, meidg, ulid or objectid", s)
	}
	return Method(s), nil
}

// Valid tells whether s has the method's form.
func (m Method) Valid(s string) bool { return forms[m].MatchString(s) }

// Time is when the thing with this id was made, in UTC.
func (m Method) Time(s string) (time.Time, error) {
	if !m.Valid(s) {
		return time.Time{}, fmt.Errorf("%w: %s of %d characters", ErrFormat, m, len(s))
	}
	var ms int64
	var err error
	switch m {
	case AID, AIDX:
		ms, err = strconv.ParseInt(s[:8], 36, 64)
		ms += epoch2000
	case MEID:
		ms, err = strconv.ParseInt(s[:12], 16, 64)
		ms -= meidBase
	case MEIDG:
		ms, err = strconv.ParseInt(s[1:12], 16, 64)
	case ObjectID:
		ms, err = strconv.ParseInt(s[:8], 16, 64)
		ms *= 1000
	case ULID:
		for i := range 10 {
			ms = ms<<5 | int64(strings.IndexByte(crockford, s[i]))
		}
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// prefix is the time part of an id made at ms.
func (m Method) prefix(ms int64) string {
	switch m {
	case AID, AIDX:
		return pad(strconv.FormatInt(max(ms-epoch2000, 0), 36), 8)
	case MEID:
		return pad(strconv.FormatInt(max(ms, 0)+meidBase, 16), 12)
	case MEIDG:
		return "g" + pad(strconv.FormatInt(max(ms, 0), 16), 11)
	case ObjectID:
		return pad(strconv.FormatInt(max(ms, 0)/1000, 16), 8)
	default: // ULID
		b := make([]byte, 10)
		for i := 9; i >= 0; i-- {
			b[i] = crockford[ms&31]
			ms >>= 5
		}
		return string(b)
	}
}

// tail is the length of what follows the time part.
func (m Method) tail() int {
	return map[Method]int{AID: 2, AIDX: 8, MEID: 12, MEIDG: 12, ULID: 16, ObjectID: 16}[m]
}

// Before is an id that sorts below every id made at t or later.
func (m Method) Before(t time.Time) string {
	return m.prefix(t.UnixMilli()) + strings.Repeat("0", m.tail())
}

// After is an id that sorts above every id made at t or earlier.
func (m Method) After(t time.Time) string {
	top := map[Method]string{AID: "z", AIDX: "z", MEID: "f", MEIDG: "f", ULID: "Z", ObjectID: "f"}[m]
	return m.prefix(t.UnixMilli()) + strings.Repeat(top, m.tail())
}

func pad(s string, n int) string {
	if len(s) < n {
		return strings.Repeat("0", n-len(s)) + s
	}
	return s
}

// earliest published date believed of a remote object: before it there was no
// federation worth the name.
var earliest = time.Date(2007, 1, 1, 0, 0, 0, 0, time.UTC)

// Maker makes ids. Those of Now are strictly increasing within the process,
// also when the clock steps back.
type Maker struct {
	method Method
	node   string // 4 base36 characters, from a lease
	now    func() time.Time

	mu      sync.Mutex
	last    int64  // ms of the newest id of Now
	counter uint32 // of this ms and after
	past    uint32 // counter of At
}

// NewMaker makes ids of the form m for the node slot 0…36⁴−1, which no other
// running process may use.
func NewMaker(m Method, node int, now func() time.Time) *Maker {
	// Dates given to At come again after a restart, and most are whole seconds:
	// its counter starts anywhere, so that its ids do not come again.
	var b [4]byte
	_, _ = rand.Read(b[:])
	return &Maker{method: m, node: pad(strconv.FormatInt(int64(node)%1679616, 36), 4), now: now, past: binary.BigEndian.Uint32(b[:])}
}

// Method is the form of the ids made.
func (k *Maker) Method() Method { return k.method }

// Now makes an id for something that is created here and now.
func (k *Maker) Now() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	ms := max(k.now().UnixMilli(), k.last)
	if k.method == ObjectID {
		// Seconds only: the counter carries the order within one.
		ms -= ms % 1000
		ms = max(ms, k.last)
	}
	if ms > k.last {
		k.counter = 0
	} else {
		k.counter++
		if k.counter >= k.counters() {
			ms += map[bool]int64{true: 1000, false: 1}[k.method == ObjectID]
			k.counter = 0
		}
	}
	k.last = ms
	return k.build(ms, k.counter)
}

// At makes an id for a remote object published at t. A date before 2007 or in
// the future counts as now (AS2 dates are the sender's word).
func (k *Maker) At(t time.Time) string {
	now := k.now()
	if t.Before(earliest) || t.After(now) {
		return k.Now()
	}
	k.mu.Lock()
	k.past++
	c := k.past % k.counters()
	k.mu.Unlock()
	return k.build(t.UnixMilli(), c)
}

// counters is how many ids one time part can hold in order.
func (k *Maker) counters() uint32 {
	switch k.method {
	case AID:
		return 36 * 36
	case AIDX:
		return 1679616 // 36⁴
	default:
		return math.MaxUint32 // 8 hex characters
	}
}

func (k *Maker) build(ms int64, c uint32) string {
	p := k.method.prefix(ms)
	switch k.method {
	case AID:
		return p + pad(strconv.FormatInt(int64(c), 36), 2)
	case AIDX:
		return p + k.node + pad(strconv.FormatInt(int64(c), 36), 4)
	case ULID:
		var b [9]byte
		_, _ = rand.Read(b[:])
		out := make([]byte, 16)
		for i := range 7 { // 35 bits of counter, then randomness
			out[i] = crockford[uint64(c)>>(5*(6-i))&31]
		}
		for i := range 9 {
			out[7+i] = crockford[b[i]&31]
		}
		return p + string(out)
	default: // hex forms: 8 of counter, then randomness
		b := make([]byte, (k.method.tail()-8)/2)
		_, _ = rand.Read(b)
		return p + pad(strconv.FormatUint(uint64(c), 16), 8) + hex.EncodeToString(b)
	}
}

// Random is n characters of [0-9a-z], for tokens and codes.
func Random(n int) string { return random(n, digits36) }

// RandomMixed is n characters of [0-9A-Za-z], the alphabet of native tokens.
func RandomMixed(n int) string {
	return random(n, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
}

func random(n int, alphabet string) string {
	out := make([]byte, 0, n)
	var b [64]byte
	// Bytes at or above the largest multiple are drawn again: no bias.
	limit := byte(256 / len(alphabet) * len(alphabet))
	for {
		_, _ = rand.Read(b[:])
		for _, x := range b {
			if limit == 0 || x < limit {
				out = append(out, alphabet[int(x)%len(alphabet)])
				if len(out) == n {
					return string(out)
				}
			}
		}
	}
}
