package peerlink

import (
	"fmt"
	"testing"

	"github.com/lni/dragonboat/v4/logger"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logger.SetLoggerFactory(func(string) logger.ILogger { return quietLogger{} })
	goleak.VerifyTestMain(m)
}

// quietLogger keeps dragonboat's messages out of the tests' output.
type quietLogger struct{}

func (quietLogger) SetLevel(logger.LogLevel)          {}
func (quietLogger) Debugf(string, ...any)             {}
func (quietLogger) Infof(string, ...any)              {}
func (quietLogger) Warningf(string, ...any)           {}
func (quietLogger) Errorf(string, ...any)             {}
func (quietLogger) Panicf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
