package httpfront

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(crowdVariable); order != "" {
		beCrowd(order)
		return
	}
	goleak.VerifyTestMain(m,
		// fasthttp starts one clock in a process and never stops it.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
}
