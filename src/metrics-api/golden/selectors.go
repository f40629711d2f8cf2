//go:build ignore

// SPDX-License-Identifier: Apache-2.0

// Prints what apimachinery makes of a few hundred label selectors; selectors.json is its output. From hack/control-plane:
//
//	go run ../../src/metrics-api/golden/selectors.go > ../../src/metrics-api/golden/selectors.json
package main

import (
	"encoding/json"
	"math/rand"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

type row struct {
	Selector string `json:"selector"`
	Valid    bool   `json:"valid"`
	Matches  []int  `json:"matches,omitempty"`
}

var sets = []labels.Set{
	{}, {"forecast": "web"}, {"forecast": ""}, {"forecast": "api"}, {"x": "y"}, {"x": "2", "forecast": "web"}, {"x": "-5"}, {"in": "in", "notin": "notin"},
	{"example.com/x": "a", "z": "9223372036854775807"},
}

func pick(r *rand.Rand, from ...string) string { return from[r.Intn(len(from))] }

// requirement is one that is nearly always valid.
func requirement(r *rand.Rand) string {
	key := pick(r, "forecast", "forecast", "x", "in", "notin", "example.com/x", "z")
	value := func() string { return pick(r, "web", "api", "a", "2", "", "in", "notin", "-", "y") }
	switch r.Intn(6) {
	case 0:
		return pick(r, "", "!", " ! ") + key
	case 1:
		return key + pick(r, ">", "<", " > ") + pick(r, "0", "1", "3", "a")
	case 2, 3:
		return key + pick(r, "=", "==", " = ", "!=") + value()
	default:
		values := value()
		for i := r.Intn(3); i > 0; i-- {
			values += pick(r, ",", " , ") + value()
		}
		return key + pick(r, " in ", " notin ", " in", "  notin ") + "(" + values + ")"
	}
}

func main() {
	r := rand.New(rand.NewSource(7))
	fixed := []string{"", " ", "\t\n", "x=a,y=b,z=c", "x!=a,y=b", "x=", "x= ", "x=,z= ", "x= ,z= ", "!x", "x>1", "x>1,z<5", "x=a||y=b", "x==a==b", "!x=a", "x<a",
		"x in (foo,,baz),y,z notin ()", "x in ()", "x in (,a)", "x in (a,)", "x in (,)", "x in (a", "x in a", "x notin (in,notin)", "in in (in)", "notin notin (notin)", "in", "notin", "!in", "!notin",
		"in=in", "notin=in", "!", "!!x", "! x", "x!", "x=!y", ",", "x,", ",x", "x,,y", "x y", "x=a b", "x in (a b)", "x in (a,b) c", "(x)", "x=(a)", "x=)", "x>", "x>=1", "x=>1", "x>+5", "x>-5", "x>05",
		"x>9223372036854775807", "x>9223372036854775808", "z>9223372036854775806", "x<3,x>1", "x<-1", "x>1_0", "x>0x1", "forecast=web", "forecast==web", "forecast!=web", "forecast in (web,api)", "forecast notin (web)",
		"forecast", "!forecast", "forecast=web,forecast=api", "forecast=web,forecast!=api", "forecast=web,x", "example.com/x=a", "example.com/x", "/x", "example.com/", "a/b/c", "Example.com/x", "example..com/x", "-x", "x-", "x.", "x_y", "_x", "x=-a", "x=a-", "x=a_b.c", "ü=a", "x=ü", "x\u00a0=a", "x=a\vb",
		strings.Repeat("a", 63), strings.Repeat("a", 64), "x=" + strings.Repeat("a", 63), "x=" + strings.Repeat("a", 64),
		strings.Repeat("a.", 126) + "a/x", strings.Repeat("a.", 127) + "a/x", "forecast in(web)", "forecast notin(web)", "forecast in (web),", "x in (a),y notin (b),z=c,!w,v", "x=a,,", "x in ((a))", "x in (a)(b)", "x in (a,!b)", "x in (a=b)", "x in =a", "x notin", "x in", "in in", "x == in", "x != notin", "x=in,y", "1=1", "x in (1,2), x > 1", "x\r\n=\ta"}
	words := []string{"x", "forecast", "web", "api", "in", "notin", "y", "1", "2", "z", "a/b", "-", "a.b", "", "example.com/x"}
	syms := []string{"=", "==", "!=", "!", ",", "(", ")", ">", "<", " ", " in ", " notin ", "=", ",", ",", " in (", ")"}
	for i := 0; i < 700; i++ {
		n := 1 + r.Intn(9)
		s := ""
		for j := 0; j < n; j++ {
			if (j%2 == 0) != (r.Intn(6) == 0) {
				s += words[r.Intn(len(words))]
			} else {
				s += syms[r.Intn(len(syms))]
			}
		}
		fixed = append(fixed, s)
	}
	for i := 0; i < 250; i++ {
		var parts []string
		for j := 0; j <= r.Intn(3); j++ {
			parts = append(parts, requirement(r))
		}
		fixed = append(fixed, strings.Join(parts, pick(r, ",", " , ", ",\t")))
	}
	seen := map[string]bool{}
	var rows []row
	for _, s := range fixed {
		if seen[s] {
			continue
		}
		seen[s] = true
		sel, err := labels.Parse(s)
		w := row{Selector: s, Valid: err == nil}
		if err == nil {
			for i, l := range sets {
				if sel.Matches(l) {
					w.Matches = append(w.Matches, i)
				}
			}
		}
		rows = append(rows, w)
	}
	out := os.Stdout
	enc := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	out.WriteString("{\n\"labels\": " + enc(sets) + ",\n\"selectors\": [\n")
	for i, w := range rows {
		if i > 0 {
			out.WriteString(",\n")
		}
		out.WriteString(enc(w))
	}
	out.WriteString("\n]\n}\n")
}
