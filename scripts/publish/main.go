// Command publish puts messages into a queue of the broker in AMQP_URL, each persistent, mandatory
// and confirmed by the broker.
//
//	go run ./scripts/publish -q QUEUE [-id ID] < messages
//
// The messages are JSON objects, one after another. With -lines, each line is a message, JSON or not.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func main() {
	queue := flag.String("q", "", "the `queue`, which must exist")
	id := flag.String("id", "", "the message_id; with several messages ID-1, ID-2 and so on")
	lines := flag.Bool("lines", false, "each line is a message, JSON or not")
	flag.Parse()
	if *queue == "" || flag.NArg() != 0 {
		fmt.Fprintln(os.Stderr, "usage: publish -q QUEUE [-id ID] [-lines] < messages")
		os.Exit(2)
	}
	if err := run(*queue, *id, *lines); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

func run(queue, id string, lines bool) error {
	read := objects
	if lines {
		read = rawLines
	}
	bodies, err := read(os.Stdin)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	if len(bodies) == 0 {
		return errors.New("no message on standard input")
	}
	address := os.Getenv("AMQP_URL")
	if address == "" {
		address = "amqp://guest:guest@localhost:5672/"
	}
	conn, err := amqp.DialConfig(address, amqp.Config{Dial: amqp.DefaultDial(10 * time.Second)})
	if err != nil {
		return fmt.Errorf("broker in AMQP_URL: %s", redact(err, address))
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Confirm(false); err != nil {
		return err
	}
	returns := ch.NotifyReturn(make(chan amqp.Return, len(bodies)))
	for i, body := range bodies {
		messageID := id
		if id != "" && len(bodies) > 1 {
			messageID = fmt.Sprintf("%s-%d", id, i+1)
		}
		if err := publish(ch, queue, messageID, body, returns); err != nil {
			return fmt.Errorf("message %d of %d: %w", i+1, len(bodies), err)
		}
	}
	return nil
}

// publish returns after the broker has confirmed the message. The broker returns an unroutable message before its confirm.
func publish(ch *amqp.Channel, queue, id string, body []byte, returns <-chan amqp.Return) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	confirm, err := ch.PublishWithDeferredConfirm("", queue, true, false, amqp.Publishing{
		ContentType:  "application/json",
		DeliveryMode: amqp.Persistent,
		MessageId:    id,
		Timestamp:    time.Now(),
		Body:         body,
	})
	if err != nil {
		return err
	}
	acked, err := confirm.WaitContext(ctx)
	if err != nil {
		return fmt.Errorf("no confirm from the broker: %w", err)
	}
	select {
	case <-returns:
		return fmt.Errorf("there is no queue %q", queue)
	default:
	}
	if !acked {
		return errors.New("the broker did not take it")
	}
	return nil
}

// objects reads JSON values, and leaves the bytes of each as they are.
func objects(r io.Reader) ([][]byte, error) {
	var bodies [][]byte
	dec := json.NewDecoder(r)
	for {
		var body json.RawMessage
		err := dec.Decode(&body)
		if err == io.EOF {
			return bodies, nil
		}
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", len(bodies)+1, err)
		}
		bodies = append(bodies, body)
	}
}

func rawLines(r io.Reader) ([][]byte, error) {
	var bodies [][]byte
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		if line != "" {
			bodies = append(bodies, []byte(strings.TrimSuffix(line, "\n")))
		}
		if err == io.EOF {
			return bodies, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// redact returns the library's error about an address without its password.
func redact(err error, address string) string {
	if u, e := url.Parse(address); e == nil {
		if password, ok := u.User.Password(); ok && password != "" && password != "guest" {
			return strings.ReplaceAll(err.Error(), password, "xxxxx")
		}
		return err.Error()
	}
	return "not an AMQP address"
}
