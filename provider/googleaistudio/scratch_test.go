package googleaistudio

import (
	"fmt"
	"strings"
	"testing"
)

// Long signatures make the parts longer than the messages were.
func TestTurnsThatOutgrowTheirMemoryKeepTheirParts(t *testing.T) {
	signature := strings.Repeat("s", 3<<10)
	recall := func(string) string { return signature }
	var messages []string
	var want strings.Builder
	for i := range 20 {
		messages = append(messages, fmt.Sprintf(`{"role":"user","content":"question %d"},{"role":"user","content":""}`, i), calls(fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)),
			result(fmt.Sprintf("a%d", i), "one"), result(fmt.Sprintf("b%d", i), "two"), `{"role":"assistant","content":"answer"},{"role":"user","content":""},{"role":"assistant","content":"goes on"}`)
		fmt.Fprintf(&want, `{"text":"question %d"} a%d b%d one two {"text":"answer"},{"text":"goes on"} `, i, i, i)
	}
	for range 3 { // each time in the memory of the conversation before
		c, err := readMessages([]byte("["+strings.Join(messages, ",")+"]"), "gemini-2.5-flash", recall)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, turn := range c.turns {
			switch {
			case len(turn.calls) > 0:
				if strings.Count(string(turn.parts), signature) != 2 || len(turn.parts) > 2*len(signature)+500 {
					t.Errorf("a turn with two calls is %.200s", turn.parts)
				}
				fmt.Fprintf(&got, "%s %s %s %s ", turn.calls[0].id, turn.calls[1].id, trim(turn.calls[0].result), trim(turn.calls[1].result))
			case len(turn.parts) > 0:
				got.WriteString(string(turn.parts) + " ")
			}
		}
		if got.String() != want.String() {
			t.Errorf("turns are %s\nwant %s", got.String(), want.String())
		}
		c.write(new(object))
	}
}

func trim(quoted []byte) string { return strings.Trim(string(quoted), `"`) }
