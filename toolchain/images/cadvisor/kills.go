package main

import (
	"sync"

	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/utils/oomparser"
	"k8s.io/klog/v2"
)

// killCounter is a manager that also tells how often the kernel killed for want
// of memory in each container: the library itself always says 0, because its
// daemon counts them.
type killCounter struct {
	manager.Manager
	lock  sync.Mutex
	kills map[string]uint64
}

// countKills follows the kernel's log; where that cannot be read, the count
// stays 0, as the official daemon's does.
func countKills(watcher manager.Manager) *killCounter {
	counter := &killCounter{Manager: watcher, kills: map[string]uint64{}}
	log, err := oomparser.New()
	if err != nil {
		klog.Warningf("kills for want of memory are not counted: %v", err)
		return counter
	}
	seen := make(chan *oomparser.OomInstance, 10)
	go log.StreamOoms(seen)
	go func() {
		for kill := range seen {
			counter.lock.Lock()
			counter.kills[kill.ContainerName]++
			counter.lock.Unlock()
		}
	}()
	return counter
}

// GetRequestedContainersInfo is what the metrics are made from.
func (c *killCounter) GetRequestedContainersInfo(name string, options model.RequestOptions) (map[string]*model.ContainerInfo, error) {
	found, err := c.Manager.GetRequestedContainersInfo(name, options)
	c.lock.Lock()
	defer c.lock.Unlock()
	for _, one := range found {
		for _, sample := range one.Stats {
			sample.OOMEvents = c.kills[one.Name]
		}
	}
	return found, err
}
