package main

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// corpus is notes that can be made again by their number, so that no text has to be
// kept: 60 % Korean, 25 % Japanese, 15 % English, with words drawn as people draw them
// (a few very often), laughter, mentions, links and emoji.
type corpus struct {
	seed            uint64
	ko, ja, en      []string
	zko, zja, zen   *zipf
	authors         *zipf
	particles, ends []string
}

const authors = 5000

// zipf draws numbers of which small ones are drawn often, from a table.
type zipf struct{ table []uint32 }

func newZipf(r *rand.Rand, n int, s float64) *zipf {
	z := rand.NewZipf(r, s, 4, uint64(n-1))
	t := make([]uint32, 1<<18)
	for i := range t {
		t[i] = uint32(z.Uint64())
	}
	return &zipf{t}
}

func (z *zipf) draw(r *rand.Rand) int { return int(z.table[r.IntN(len(z.table))]) }

func newCorpus(seed uint64) *corpus {
	r := rand.New(rand.NewPCG(seed, 1))
	c := &corpus{seed: seed}
	pick := func(letters []rune, n int) string {
		var b strings.Builder
		for range n {
			// Letters, too, are unlike: the product of two draws favours the first.
			b.WriteRune(letters[r.IntN(len(letters))*r.IntN(len(letters))/len(letters)])
		}
		return b.String()
	}
	var hangul, han, kana []rune
	for _, i := range r.Perm(11172)[:1200] {
		hangul = append(hangul, rune(0xac00+i))
	}
	for _, i := range r.Perm(20000)[:2000] {
		han = append(han, rune(0x4e00+i))
	}
	for i := range 83 {
		kana = append(kana, rune(0x3042+i))
	}
	for range 300_000 {
		c.ko = append(c.ko, pick(hangul, 2+r.IntN(3)))
	}
	for range 120_000 {
		if r.IntN(3) == 0 {
			c.ja = append(c.ja, pick(kana, 2+r.IntN(4)))
		} else {
			c.ja = append(c.ja, pick(han, 1+r.IntN(3)))
		}
	}
	for range 80_000 {
		c.en = append(c.en, pick([]rune("etaoinshrdlucmfwypvbgkjqxz"), 3+r.IntN(7)))
	}
	c.zko, c.zja, c.zen, c.authors = newZipf(r, len(c.ko), 1.05), newZipf(r, len(c.ja), 1.08), newZipf(r, len(c.en), 1.1), newZipf(r, authors, 1.2)
	c.particles = strings.Fields("은 는 이 가 을 를 에 에서 으로 의 도 만 까지 부터 하고")
	c.ends = strings.Fields("합니다 했다 했어요 해요 있습니다 있어 없다 입니다 습니다 네요 ㅋㅋㅋ ㅠㅠ 하자 같아")
	return c
}

// note is the text of a note, and who wrote it.
func (c *corpus) note(i int) (text string, author int) {
	r := rand.New(rand.NewPCG(c.seed, uint64(i)+7))
	author = c.authors.draw(r)
	var b strings.Builder
	switch lang := r.IntN(100); {
	case lang < 60:
		for k := range 4 + r.IntN(11) {
			if k > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(c.ko[c.zko.draw(r)])
			if r.IntN(3) > 0 {
				b.WriteString(c.particles[r.IntN(len(c.particles))])
			}
			if r.IntN(6) == 0 {
				b.WriteString(" " + c.ends[r.IntN(len(c.ends))])
			}
		}
	case lang < 85:
		for range 6 + r.IntN(14) {
			b.WriteString(c.ja[c.zja.draw(r)])
			b.WriteString([]string{"は", "が", "を", "に", "の", "です", "ます", "、"}[r.IntN(8)])
		}
	default:
		for range 6 + r.IntN(16) {
			b.WriteString(c.en[c.zen.draw(r)] + " ")
		}
	}
	switch r.IntN(12) {
	case 0:
		b.WriteString(" https://" + c.en[r.IntN(200)] + ".example/" + c.en[r.IntN(len(c.en))])
	case 1:
		b.WriteString(" :" + c.en[r.IntN(300)] + ":")
	case 2:
		b.WriteString(" #" + c.ko[c.zko.draw(r)])
	case 3:
		return "@" + c.en[r.IntN(2000)] + " " + b.String(), author
	}
	return b.String(), author
}

// queries are the words that are looked for, by class.
func (c *corpus) queries() []class {
	r := rand.New(rand.NewPCG(c.seed, 99))
	draw := func(list []string, from, to, least, most int) func() string {
		return func() string {
			for {
				w := list[from+r.IntN(to-from)]
				if n := len([]rune(w)); n >= least && n <= most {
					return w
				}
			}
		}
	}
	bad := append(c.misleading(12), "습니다 합니다", "습니다 합니다 입니다 있습니다 했다", "다 니다 습니다", "ㅋㅋㅋ ㅠㅠ")
	two := func(f func() string) func() string { return func() string { return f() + " " + f() } }
	list := []struct {
		name string
		draw func() string
		n    int
	}{
		{"rare", draw(c.ko, 200_000, 300_000, 2, 4), 30}, {"common", draw(c.ko, 0, 300, 2, 4), 30}, {"ko2", draw(c.ko, 0, 20_000, 2, 2), 40},
		{"ko3", draw(c.ko, 0, 20_000, 3, 4), 30}, {"japanese", draw(c.ja, 0, 10_000, 2, 4), 30},
		{"one", func() string { return string([]rune(c.ko[r.IntN(2000)])[:1]) }, 20}, {"and", two(draw(c.ko, 0, 2000, 2, 3)), 40}, {"english", draw(c.en, 0, 5000, 3, 9), 20},
		{"author", func() string { return "" }, 20},
		{"bad", func() string { return bad[r.IntN(len(bad))] }, 40},
	}
	var out []class
	for _, l := range list {
		c := class{name: l.name}
		for range l.n {
			q := query{words: l.draw()}
			if l.name == "author" {
				q = query{words: list[1].draw(), author: 1 + r.IntN(authors-1)}
			}
			c.list = append(c.list, q)
		}
		out = append(out, c)
	}
	return out
}

// misleading are words that nobody wrote, whose pairs of characters are in many notes
// together: the index takes all of those for hits.
func (c *corpus) misleading(n int) (out []string) {
	both, whole := map[string]int{}, map[string]int{}
	for i := range 20_000 {
		text, _ := c.note(i)
		pairs := map[string]bool{}
		for _, w := range strings.Fields(text) {
			l := []rune(w)
			for k := range len(l) - 1 {
				pairs[string(l[k:k+2])] = true
				if k+2 < len(l) {
					whole[string(l[k:k+3])]++
				}
			}
		}
		for a := range pairs {
			for b := range pairs {
				if last, first := []rune(a)[1], []rune(b)[0]; last == first {
					both[a+string([]rune(b)[1:])]++
				}
			}
		}
	}
	words := slices.Collect(maps.Keys(both))
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(both[b]-20*whole[b], both[a]-20*whole[a]), cmp.Compare(a, b))
	})
	return words[:n]
}

type query struct {
	words  string
	author int // 0: of anybody
}

type class struct {
	name string
	list []query
}

// took is what the queries of a class took, sorted.
type took map[string][]time.Duration
