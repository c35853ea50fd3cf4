package httpfront

import (
	"testing"
	"time"

	"copse/statemachine/txn"
)

// FuzzTxnBody has whatever comes as the body of a transaction read.
func FuzzTxnBody(f *testing.F) {
	f.Add([]byte(`{"compare":[{"key":"/a","value64":"/w==","index":4},{"key":"/c","exists":false}],"ops":[{"op":"set","key":"b/","dir":true,"ttl":5}]}`))
	f.Add([]byte(`{"ops":[{"op":"compareAndSwap","key":"/a","prevValue":"1","prevIndex":6,"value64":"eA=="},{"op":"rename","key":"/a","to":"/b","overwrite":true}]}`))
	f.Add([]byte(`{"ops":[{"op":"update","key":"/a","refresh":true,"ttlMs":1500},{"op":"delete","key":"/d","recursive":true}]}`))
	now := time.Unix(1e9, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		x, refused := parseTxn(body, 1<<20, now)
		if refused != nil {
			if refused.Cause == "" || refused.Code.Message() == "" {
				t.Fatalf("refused with %v", refused)
			}
			return
		}
		c := x.Command(now.UnixNano())
		if !txn.IsTxn(&c) {
			t.Fatalf("%q is read as what no state machine takes: %+v", body, x)
		}
	})
}
