package main

// usage is the answer to -h.
const usage = `docker-dispatch takes JSON messages from a RabbitMQ queue and for each one drives a
Docker Engine: runs containers, stops and removes them, and so on. It shows their
output, and settles the message only when the work has ended.

Usage:
  docker-dispatch [options] [dockerHostAddr [amqpAddr]]
  docker-dispatch run|send|check|dead|ps ...  from the other end of the queue; each has its -h
  docker-dispatch policy explain [FILE]    what a policy amounts to
  docker-dispatch health [PID]             whether a daemon here can work
  docker-dispatch help [TOPIC]             the manual
  docker-dispatch completion bash|fish|zsh  a script that completes command lines

Addresses:
  dockerHostAddr  ip:port, the path of a unix socket, or tcp:// unix:// http:// https://
                  (default: $DOCKER_HOST, else /var/run/docker.sock)
  amqpAddr        amqp://user:password@host:5672/vhost, or amqps://; - reads the
                  messages from stdin instead, one JSON object after another
                  (default: $AMQP_URL, else amqp://guest:guest@localhost:5672/)
      --amqp-password-file FILE  the password of the user in amqpAddr

Messages:
  -q, --queue NAME         the queue to take messages from (required, except with -;
                           it must exist unless --declare creates it)
      --declare TYPE       create the queue if it is missing: quorum or classic
  -c, --concurrency N      runs and execs at a time (default 16)
      --ahead N            messages taken beyond that, so a stop can overtake runs that
                           wait (default 4)
      --max-message SIZE   the largest message that is read (default 1m)
      --dead-letter NAME   the queue for dead letters, declared at start (default:
                           QUEUE.dead); none rejects such messages to the queue's own
                           dead-letter exchange
      --control NAME       a second queue for commands that must not wait for runs,
                           declared at start (default: QUEUE.control); none: off
      --results QUEUE      a queue for the results of all jobs, besides the reply_to of
                           each message (default: none; it must exist unless --declare
                           creates it)

Containers:
      --policy FILE        what messages may ask for; {"Trust": true} in it allows all
                           (default: nothing that hands over the engine's host);
                           SIGHUP reads it again
      --min-free SIZE      take no messages while the disk of the engine's data has less
                           free (default: it is not looked at)
      --secrets DIR        a file for each secret that messages may name (default:
                           $CREDENTIALS_DIRECTORY, which systemd sets)
      --pull POLICY        images to pull: missing, always or never (default missing)
      --timeout TIME       the longest that a foreground container, a wait, or logs with
                           Follow may last (default: no limit)
      --drain TIME         how long a stop of the daemon waits for jobs that run
                           (default 10s); 0s leaves them at once
      --sweep-after TIME   how long after its end a container is removed that a crash
                           left (default 24h); 0s: never

Output:
      --format FORMAT      text or json, one event a line (default text)
      --raw                text as containers write it; without it, control characters
                           are shown as \x1b, because they could command the terminal
      --capture SIZE       how much of each stream's end a result holds (default 64k)
      --log-format FORMAT  logs on stderr as text or json (default text)
  -v, --verbose            log every step

Watching:
      --listen ADDR        answer /healthz, /readyz, /metrics, and a page for people, at
                           host:port or at the path of a unix socket (default: none)

Docker over TLS:
      --tlsverify          use TLS, and verify the engine (default: $DOCKER_TLS_VERIFY);
                           ignored with a socket
      --tlscacert FILE     the CA to trust (default: ca.pem in $DOCKER_CERT_PATH)
      --tlscert FILE       our certificate (default: cert.pem there)
      --tlskey FILE        its key (default: key.pem there)

An option that is not given is taken from its variable, if that is set: --sweep-after from
DOCKER_DISPATCH_SWEEP_AFTER, and so on. Those below have none.

      --print-config       print each setting, its value and where it is from
      --api-calls          print the calls that the daemon makes to the engine
      --version            print the version
  -h, --help               print this

Exit codes: 0 stopped as asked, 1 failed at run time (with -: a message failed, or was
not begun), 2 wrong usage or configuration.

Example: run one container and see its output, without a broker
  echo '{"Dockercmd": "run", "Image": "busybox", "Cmd": ["echo", "hi"],
         "Options": {"Attach": ["STDOUT"], "Remove": true}}' |
  docker-dispatch /var/run/docker.sock -
`
