package dockerapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// Info is what an engine says of itself.
type Info struct {
	ID       string // distinguishes the engine from all others: of its own ID, its machine's name and DataRoot
	DataRoot string // the folder in which the engine keeps its data, on its own host
}

// Info asks the engine what it is.
func (c *Client) Info(ctx context.Context) (Info, error) {
	r := newRequest(opInfo, "")
	var answer struct{ ID, Name, DockerRootDir string }
	if err := c.do(ctx, r, &answer); err != nil {
		return Info{}, err
	}
	if c.podman(ctx) { // its ID is a new one in each answer
		answer.ID = "podman"
	}
	// The ID is kept in a file of the machine: several engines of one machine have the same, and so have copies of a machine.
	sum := sha256.Sum256([]byte(answer.Name + "\x00" + answer.DockerRootDir))
	answer.ID += "-" + hex.EncodeToString(sum[:10])
	return Info{answer.ID, answer.DockerRootDir}, nil
}
