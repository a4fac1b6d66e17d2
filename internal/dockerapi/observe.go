package dockerapi

import "time"

// ask sends r on a connection, and returns when the header of the answer has been read. It tells Options.Observe.
func (c *Client) ask(conn *connection, r *request, prefix string) (*response, error) {
	if c.observe == nil {
		return conn.ask(r, c.host, prefix)
	}
	began := time.Now()
	resp, err := conn.ask(r, c.host, prefix)
	status := 0
	if err == nil {
		status = resp.status
	}
	path := r.Route
	if r.op == "" {
		path = r.method + " /_ping"
	}
	c.observe(path, status, time.Since(began))
	return resp, err
}
