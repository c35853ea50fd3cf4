package statemachine

import (
	"errors"
	"fmt"

	"copse/statemachine/auth"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// Auth returns the users and roles of the cluster as far as this replica has applied the
// log; never nil. It may be called from any goroutine.
func (m *Machine) Auth() *auth.State { return m.shared.auth.now.Load() }

// AuthChanged receives a value after Auth has changed, or may have changed because a
// snapshot was installed. Several changes may send a single value. It has one reader.
func (m *Machine) AuthChanged() <-chan struct{} { return m.shared.auth.changed }

func loadAuth(from pebble.Reader) (*auth.State, error) {
	enabled, err := loadFlag(from)
	if err != nil {
		return nil, err
	}
	users, err := loadNamed(from, userPrefix, auth.ReadUser)
	if err != nil {
		return nil, err
	}
	roles, err := loadNamed(from, rolePrefix, auth.ReadRole)
	if err != nil {
		return nil, err
	}
	return auth.NewState(enabled, users, roles), nil
}

func loadFlag(from pebble.Reader) (enabled bool, err error) {
	rec, closer, err := from.Get(authKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if enabled, err = auth.ReadFlag(rec); err != nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return enabled, errors.Join(err, closer.Close())
}

// loadNamed reads all records whose keys are that prefix and a name, in the order of the
// names.
func loadNamed[T any](from pebble.Reader, prefix byte, read func(name string, rec []byte) (*T, error)) (all []*T, err error) {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		rec, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		one, err := read(string(it.Key()[1:]), rec)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		all = append(all, one)
	}
	return all, it.Error()
}

// changeAuth executes an OpAuth and returns what became of it. err stops the replica.
func (v *view) changeAuth(c *tree.Command) (outcome []byte, err error) {
	change, err := auth.ReadChange(c.Value)
	if err != nil {
		return nil, err
	}
	next, out := v.shared.auth.Apply(change)
	v.storeAuth(next, change.Name)
	v.shared.auth = next
	return out.Append(nil), nil
}

// storeAuth writes what next has changed: the flag, root, guest, and the user and the
// role of that name.
func (v *view) storeAuth(next *auth.State, name string) {
	old := v.shared.auth
	if old.Enabled != next.Enabled {
		v.must(v.batch.Set(authKey, auth.AppendFlag(nil, next.Enabled), nil))
	}
	for _, name := range []string{auth.Root, name} {
		was, _ := old.User(name)
		if is, ok := next.User(name); is != was {
			v.storeNamed(userPrefix, name, is, ok)
		}
	}
	for _, name := range []string{auth.Guest, name} {
		was, _ := old.Role(name)
		if is, ok := next.Role(name); is != was {
			v.storeNamed(rolePrefix, name, is, ok)
		}
	}
}

// storeNamed writes the record of that name, or removes it if there is none any more.
func (v *view) storeNamed(prefix byte, name string, is interface{ Append([]byte) []byte }, ok bool) {
	key := append([]byte{prefix}, name...)
	if !ok {
		v.must(v.batch.Delete(key, nil))
		return
	}
	v.must(v.batch.Set(key, is.Append(nil), nil))
}
