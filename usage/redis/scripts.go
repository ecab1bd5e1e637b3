package redis

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1
	_ "embed"
	"encoding/hex"
)

// script is a Lua script that Redis runs as one step.
type script struct{ text, sha string }

var (
	//go:embed script/counters.lua
	countersText string
	//go:embed script/admit.lua
	admitText string
	//go:embed script/settle.lua
	settleText string
	//go:embed script/undo.lua
	undoText string
	//go:embed script/renew.lua
	renewText string
	//go:embed script/count.lua
	countText string
	//go:embed script/take.lua
	takeText string
)

var (
	admitScript  = newScript(countersText + admitText)
	settleScript = newScript(countersText + settleText)
	undoScript   = newScript(countersText + undoText)
	renewScript  = newScript(countersText + renewText)
	countScript  = newScript(countText)
	takeScript   = newScript(takeText)
)

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as above
	return &script{text, hex.EncodeToString(sum[:])}
}
