package live

import "slices"

// An index finds live tasks by a key that several may share, in no order. Its owner guards it.
type index map[string][]*Task

func (x index) add(key string, t *Task) { x[key] = append(x[key], t) }

func (x index) drop(key string, t *Task) {
	list := x[key]
	i := slices.Index(list, t)
	if i < 0 {
		return
	}
	last := len(list) - 1
	list[i], list[last] = list[last], nil
	if x[key] = list[:last]; last == 0 {
		delete(x, key)
	}
}

// move changes the key of a task; the empty key finds none.
func (x index) move(from, to string, t *Task) {
	x.drop(from, t)
	if to != "" {
		x.add(to, t)
	}
}

// A crowd is an index for a key that thousands of tasks may share: jobs of equal messages have the same digest. add and drop
// take the same time for any number of them. A key takes more memory than in an index.
type crowd map[string]map[*Task]struct{}

func (x crowd) add(key string, t *Task) {
	if x[key] == nil {
		x[key] = make(map[*Task]struct{}, 1)
	}
	x[key][t] = struct{}{}
}

func (x crowd) drop(key string, t *Task) {
	delete(x[key], t)
	if len(x[key]) == 0 {
		delete(x, key)
	}
}
