package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
)

// startMailSink takes every message and keeps none, until the context ends.
func startMailSink(ctx context.Context) (url string, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go takeMail(conn)
		}
	}()
	return "smtp://" + listener.Addr().String() + "?tls=none", nil
}

// takeMail answers a mail client to its end. A failure ends the conversation,
// which the client notices.
func takeMail(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewScanner(conn)
	say := func(line string) { fmt.Fprint(conn, line+"\r\n") }
	say("220 sink")
	for message := false; lines.Scan(); {
		command, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " ")
		switch {
		case message && lines.Text() == ".":
			message = false
			say("250 taken")
		case message:
		case command == "DATA":
			message = true
			say("354 go on")
		case command == "QUIT":
			say("221 bye")
			return
		default:
			say("250 sink")
		}
	}
}
