// pulumi-language-python lets the Pulumi engine run Python programs and policy
// packs. The official host's Go module cannot be had from a module proxy, so
// this one implements what a deployment asks for on the same protocol; project
// templates, dependency installation and code generation are left out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/cmdutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/logging"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

func main() {
	tracing := flag.String("tracing", "", "where to send traces of the deployment itself")
	logging.InitLogging(false, 0, false)
	flag.Parse()
	if err := serve(*tracing, flag.Arg(0)); err != nil {
		cmdutil.ExitError(err.Error())
	}
}

// serve answers the engine until that is gone or sends SIGINT. It reads the port
// from the first line of standard output.
func serve(tracing, engine string) error {
	executor, err := executorPath()
	if err != nil {
		return err
	}
	// The engine ends its plugins by SIGINT, and waits 5 s for one that ignores it: as
	// everything does that a script starts in the background, unless it asks for it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if engine != "" {
		if err := rpcutil.Healthcheck(ctx, engine, 5*time.Minute, stop); err != nil {
			return fmt.Errorf("watching the engine at %s: %w", engine, err)
		}
	}
	end := make(chan bool)
	go func() {
		<-ctx.Done()
		stop() // a second SIGINT does not wait for what is under way
		close(end)
	}()
	server, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: end,
		Init: func(s *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(s, newHost(engine, tracing, executor))
			return nil
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(server.Port)
	return <-server.Done
}

// executorPath finds the SDK's script that starts a program: it stands beside
// this binary.
func executorPath() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), "pulumi-language-python-exec")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the Python executor of the Pulumi SDK is missing: %w", err)
	}
	return path, nil
}
