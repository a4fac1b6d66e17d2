package message

import (
	"strings"
	"testing"
)

// placed decodes a command with the options, and returns its placement.
func placed(verb, options string) (Placement, error) {
	c, err := Decode([]byte(`{"Dockercmd":"`+verb+`","Image":"a","Options":`+options+`}`), 0, false)
	if err != nil {
		return Placement{}, err
	}
	return c.Traits().Where(), nil
}

// TestPlacement: which of two hosts a message allows, and what it is called.
func TestPlacement(t *testing.T) {
	alpha := map[string]string{"gpu": "yes", "zone": "eu"}
	for _, tt := range []struct {
		options     string
		alpha, beta bool // beta has no labels
		any         bool
		text        string
	}{
		{`{}`, true, true, true, "a host"},
		{`{"Host":"alpha"}`, true, false, false, "the host alpha"},
		{`{"Constraint":"gpu==yes"}`, true, false, false, "a host with gpu==yes"},
		{`{"Constraint":["gpu==yes"," zone != eu "]}`, false, false, false, "a host with gpu==yes and zone!=eu"},
		{`{"Constraint":"gpu!=yes"}`, false, true, false, "a host with gpu!=yes"},
		{`{"Constraint":[]}`, true, true, true, "a host"},
		{`{"Host":"beta","Constraint":"zone!=eu"}`, false, true, false, "the host beta with zone!=eu"},
		{`{"Host":"beta","Constraint":"zone==eu"}`, false, false, false, "the host beta with zone==eu"},
	} {
		for _, verb := range []string{"run", "create", "pull"} {
			p, err := placed(verb, tt.options)
			if err != nil || p.Allows("alpha", alpha) != tt.alpha || p.Allows("beta", nil) != tt.beta || p.Any() != tt.any || p.String() != tt.text {
				t.Errorf("%s %s: alpha %v, beta %v, %q, %v", verb, tt.options, p.Allows("alpha", alpha), p.Allows("beta", nil), p, err)
			}
		}
	}
}

func TestPlacementErrors(t *testing.T) {
	many := `["a==b"` + strings.Repeat(`,"a==b"`, maxConstraints) + `]`
	for _, tt := range []struct{ options, want string }{
		{`{"Constraint":"gpu=yes"}`, `Options.Constraint: expected KEY==VALUE or KEY!=VALUE, of a label of hosts, got "gpu=yes"`},
		{`{"Constraint":["a==b","gpu"]}`, `Options.Constraint: item 2: expected KEY==VALUE or KEY!=VALUE, of a label of hosts, got "gpu"`},
		{`{"Constraint":{"gpu":"yes"}}`, `Options.Constraint: expected a string or an array of strings, got an object`},
		{`{"Constraint":` + many + `}`, `Options.Constraint: 17 constraints; at most 16 are taken`},
		{`{"Constraints":"a==b"}`, `Options: unknown key "Constraints"; did you mean "Constraint"?`},
		{`{"Host":""}`, `Options.Host: expected the name of a host, 1 to 63 letters, digits, _, . and -, the first a letter or digit, got ""`},
		{`{"Host":["a"]}`, `Options.Host: expected a string, got an array`},
		{`{"host":"a"}`, `Options: unknown key "host"; did you mean "Host"?`},
	} {
		if _, err := placed("run", tt.options); err == nil || err.Error() != tt.want {
			t.Errorf("%s:\ngot  %v\nwant %s", tt.options, err, tt.want)
		}
	}
	if _, err := Decode([]byte(`{"Dockercmd":"run","Image":"a","Host":"b"}`), 0, false); err == nil || err.Error() != `unknown key "Host"; did you mean Options: {"Host": ...}?` {
		t.Error(err)
	}
	if _, err := Decode([]byte(`{"Dockercmd":"run","Image":"a","Constraint":"b"}`), 0, false); err == nil || err.Error() != `unknown key "Constraint"; did you mean Options: {"Constraint": ...}?` {
		t.Error(err)
	}
}
