package election

import "sync"

// mutex is a sync.Mutex made of a channel. A goroutine may be kept waiting while it
// holds one: in a simulation it then is stopped in the middle of a rule, or of a
// store to the fence. On virtual time (testing/synctest) those that wait for a
// channel let time go on; those that wait for a sync.Mutex stop it for ever.
type mutex struct {
	made  sync.Once
	token chan struct{}
}

// Lock waits until nobody has the mutex, and takes it.
func (m *mutex) Lock() {
	m.made.Do(func() { m.token = make(chan struct{}, 1) })
	m.token <- struct{}{}
}

// Unlock gives it back.
func (m *mutex) Unlock() { <-m.token }
