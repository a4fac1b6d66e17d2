package subcommand

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// BrokerAddress returns the broker's address with the password that is in a file; an empty file name changes nothing. The
// error for an address that cannot be used has the hint, and names the variable if the address is from there.
func BrokerAddress(address, from, passwordFile, hint string) (string, error) {
	address, err := withPassword(address, passwordFile)
	if err != nil {
		return "", err
	}
	switch err := wire.CheckURL(address); {
	case errors.Is(err, wire.ErrTLS): // it has a hint of its own
		return "", err
	case err != nil && from == "AMQP_URL":
		return "", ui.UsageError(from+": "+err.Error(), hint)
	case err != nil:
		return "", ui.UsageError(err.Error(), hint)
	}
	return address, nil
}

// withPassword puts the password of the file into the address. The file keeps the password out of the process list.
func withPassword(address, file string) (string, error) {
	if file == "" {
		return address, nil
	}
	fail := func(err error) (string, error) {
		return "", ui.UsageError("--amqp-password-file: "+err.Error(), "the file holds the password alone; the address has the user, amqp://USER@HOST")
	}
	f, err := os.Open(file)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	const most = 64 << 10
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return fail(err)
	}
	to, err := url.Parse(address)
	if err != nil || to.Host == "" {
		return address, nil // the address is refused where it is checked
	}
	password := strings.TrimRight(string(text), "\r\n")
	switch _, given := to.User.Password(); {
	case given:
		return fail(errors.New("the broker's address has a password, too"))
	case to.User.Username() == "":
		return fail(errors.New("the broker's address has no user"))
	case password == "":
		return fail(fmt.Errorf("%s is empty", file))
	}
	to.User = url.UserPassword(to.User.Username(), password)
	return to.String(), nil
}
