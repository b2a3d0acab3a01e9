// A client of the omnisphere router in Go: unary, stream, cancel, deadline, and errors that a program can read.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // makes healthCheckConfig work: calls leave a router that drains before it stops
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	chat "omnisphere-example/gen/omnisphere/chat/v1"
	router "omnisphere-example/gen/omnisphere/router/v1"
)

// The one file that says what may be repeated, for clients in every language.
//
//go:embed gen/omnisphere/service_config.json
var serviceConfig string

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	connection, err := connect(env("OMNISPHERE_ROUTER", "127.0.0.1:50051"))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := router.NewRouterServiceClient(connection)
	cases := []struct {
		name string
		show func(router.RouterServiceClient) (string, error)
	}{
		{"unary", unary},
		{"stream", stream},
		{"cancel", cancelled},
		{"deadline", deadline},
		{"error", richError},
		{"busy", busy},
	}
	failed := 0
	for _, one := range cases {
		said, err := one.show(client)
		if err != nil {
			failed++
			fmt.Printf("FAIL %-9s%v\n", one.name, err)
			continue
		}
		fmt.Printf("ok   %-9s%s\n", one.name, said)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, len(cases))
	}
	return nil
}

// connect opens one channel for the whole program. The numbers are those of every client of the mesh; a quicker ping
// than every 10 s is refused.
func connect(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(
		"dns:///"+target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 20 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20), grpc.MaxCallSendMsgSize(32<<20)),
	)
}

func unary(client router.RouterServiceClient) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reply, err := client.Complete(ctx, &router.CompleteRequest{Conversation: ask("Translate 'cheese' into French, in Go.")})
	if err != nil {
		return "", err
	}
	answer := text(reply.GetMessage())
	if answer == "" || reply.GetFinishReason() != chat.FinishReason_FINISH_REASON_STOP {
		return "", fmt.Errorf("no whole answer: %v", reply.GetFinishReason())
	}
	return fmt.Sprintf("%s for $%.6f: %.30s...", reply.GetDecision().GetModel(), usd(reply.GetCost()), answer), nil
}

func stream(client router.RouterServiceClient) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	events, err := client.StreamComplete(ctx, &router.StreamCompleteRequest{Conversation: ask("Tell me about rivers, in Go.")})
	if err != nil {
		return "", err
	}
	pieces := 0
	var end *router.End
	for {
		event, err := events.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if event.GetDelta() != nil {
			pieces++
		}
		if event.GetEnd() != nil {
			end = event.GetEnd()
		}
	}
	if pieces == 0 || end == nil { // a stream without `end` is not complete, whatever its status
		return "", fmt.Errorf("%d pieces, end: %v", pieces, end != nil)
	}
	return fmt.Sprintf("%d pieces, then the end: $%.6f", pieces, usd(end.GetCost())), nil
}

func cancelled(client router.RouterServiceClient) (string, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := client.StreamComplete(ctx, &router.StreamCompleteRequest{Conversation: ask("Talk until I leave, in Go.")})
	if err != nil {
		return "", err
	}
	for {
		event, err := events.Recv()
		if err != nil {
			return "", fmt.Errorf("no piece came: %w", err)
		}
		if event.GetDelta() != nil {
			break
		}
	}
	cancel() // the router ends the call to the model, and nothing more is billed
	for err == nil {
		_, err = events.Recv() // what was already here may still come
	}
	if status.Code(err) != codes.Canceled {
		return "", fmt.Errorf("expected Canceled: %w", err)
	}
	return "left after the first piece: " + status.Code(err).String(), nil
}

func deadline(client router.RouterServiceClient) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	_, err := client.Complete(ctx, &router.CompleteRequest{Conversation: ask("Answer me at once, in Go.")})
	if status.Code(err) != codes.DeadlineExceeded {
		return "", fmt.Errorf("expected DeadlineExceeded: %w", err)
	}
	return "30 ms were not enough: " + status.Code(err).String(), nil
}

func richError(client router.RouterServiceClient) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := client.Complete(ctx, &router.CompleteRequest{Conversation: ask("Hello"), Model: "gpt-99"})
	info, _ := details(err)
	if status.Code(err) != codes.NotFound || info.GetReason() != "UNKNOWN_MODEL" || info.GetMetadata()["name"] != "gpt-99" {
		return "", fmt.Errorf("expected UNKNOWN_MODEL: %w", err)
	}
	known := strings.Split(info.GetMetadata()["known"], ",")
	return fmt.Sprintf("%v %s: %d others are known", status.Code(err), info.GetReason(), len(known)), nil
}

// busy needs a model whose provider limits the rate just now; whoever runs the examples can name one.
func busy(client router.RouterServiceClient) (string, error) {
	model := env("OMNISPHERE_BUSY_MODEL", "")
	if model == "" {
		return "skipped: OMNISPHERE_BUSY_MODEL names no model", nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := client.Complete(ctx, &router.CompleteRequest{Conversation: ask("Hurry, in Go!"), Model: model})
	info, retry := details(err)
	if info.GetReason() != "PROVIDER_RATE_LIMITED" || retry == nil {
		return "", fmt.Errorf("expected PROVIDER_RATE_LIMITED with a delay: %w", err)
	}
	return fmt.Sprintf("%v %s: again in %v", status.Code(err), info.GetReason(), retry.GetRetryDelay().AsDuration()), nil
}

// details reads what every failing status carries: the reason with its metadata, and how long to wait.
func details(err error) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
	for _, detail := range status.Convert(err).Details() {
		switch found := detail.(type) {
		case *errdetails.ErrorInfo:
			info = found
		case *errdetails.RetryInfo:
			retry = found
		}
	}
	return info, retry
}

func ask(question string) *chat.Conversation {
	part := &chat.Part{Content: &chat.Part_Text{Text: question}}
	return &chat.Conversation{Messages: []*chat.Message{{Role: chat.Role_ROLE_USER, Parts: []*chat.Part{part}}}}
}

func text(message *chat.Message) string {
	var said strings.Builder
	for _, part := range message.GetParts() {
		said.WriteString(part.GetText())
	}
	return said.String()
}

func usd(cost *chat.Cost) float64 {
	return float64(cost.GetNanousd()) / 1e9
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
