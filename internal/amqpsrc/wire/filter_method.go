package wire

import (
	"bytes"
	"encoding/binary"
)

// method looks at a method before the library reads it.
func (f *filter) method(channel uint16, m []byte) error {
	f.redelivered = redelivered(m)
	if len(m) < 4 {
		return nil
	}
	sound, args := true, m[4:]
	switch [2]uint16{binary.BigEndian.Uint16(m), binary.BigEndian.Uint16(m[2:])} {
	case [2]uint16{10, 10}: // connection.start
		sound = !f.open && len(args) > 2 && holds(args[2:], 3)
	case [2]uint16{10, 20}: // connection.secure
		sound = !f.open && holds(args, 1)
	case [2]uint16{10, 30}: // connection.tune
		sound = !f.open
	case [2]uint16{10, 41}: // connection.open-ok
		sound, f.open = !f.open, true
	case [2]uint16{20, 11}: // channel.open-ok
		delete(f.confirmed, channel)
		sound = holds(args, 1)
	case [2]uint16{10, 60}, [2]uint16{10, 61}: // connection.blocked, connection.unblocked
		f.block(m)
		err := f.skip(f.pass)
		f.pass = 0
		return err
	case [2]uint16{60, 60}: // basic.deliver
		if w := f.Window.Load(); w != nil && w.n.Add(1) > w.Most {
			return errUnsettled
		}
	case [2]uint16{60, 80}, [2]uint16{60, 120}: // basic.ack, basic.nack
		if len(args) < 8 {
			return errMethod
		}
		tag := binary.BigEndian.Uint64(args)
		if tag > f.confirmed[channel] && tag-f.confirmed[channel] > maxAhead {
			return errConfirm // the library would count up to it
		}
		f.confirmed[channel] = max(f.confirmed[channel], tag)
	case [2]uint16{10, 50}, [2]uint16{10, 51}, [2]uint16{20, 20}, [2]uint16{20, 40}, [2]uint16{20, 41},
		[2]uint16{40, 11}, [2]uint16{40, 21}, [2]uint16{40, 31}, [2]uint16{40, 51},
		[2]uint16{50, 11}, [2]uint16{50, 21}, [2]uint16{50, 31}, [2]uint16{50, 41}, [2]uint16{50, 51},
		[2]uint16{60, 11}, [2]uint16{60, 21}, [2]uint16{60, 30}, [2]uint16{60, 31}, [2]uint16{60, 50}, [2]uint16{60, 71}, [2]uint16{60, 72}, [2]uint16{60, 111},
		[2]uint16{85, 11}, [2]uint16{90, 11}, [2]uint16{90, 21}, [2]uint16{90, 31}: // their strings are short
	default:
		sound = false
	}
	if !sound {
		return errMethod
	}
	return nil
}

// holds reports whether n long strings lie within b. The library would read over the end of a frame, up to 2 GiB for each.
func holds(b []byte, n int) bool {
	for range n {
		if len(b) < 4 || int64(binary.BigEndian.Uint32(b)) > int64(len(b)-4) {
			return false
		}
		b = b[4+binary.BigEndian.Uint32(b):]
	}
	return true
}

// block records whether the broker takes messages.
func (f *filter) block(method []byte) {
	reason := ""
	if len(method) > 5 {
		reason = string(method[5:min(len(method), 5+int(method[4]))])
	}
	f.shortage.Store(&reason)
	f.unblocked.Set(method[3] != 60)
}

// redelivered reports whether a method is a basic.deliver of a redelivered message.
func redelivered(method []byte) bool {
	if len(method) < 5 || !bytes.HasPrefix(method, []byte{0, 60, 0, 60}) {
		return false
	}
	at := 4 + 1 + int(method[4]) + 8
	return at < len(method) && method[at]&1 != 0
}
