// echo with echo-contrib's echoprometheus.
package main

import (
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo-contrib/echoprometheus"
	"github.com/labstack/echo/v4"
)

func main() {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Use(echoprometheus.NewMiddleware("myapp"))
	e.GET("/metrics", echoprometheus.NewHandler())
	e.GET("/", func(c echo.Context) error {
		time.Sleep(120 * time.Millisecond)
		return c.String(http.StatusOK, "well")
	})
	e.GET("/fail", func(echo.Context) error { return errors.New("as asked") })
	e.Logger.Fatal(e.Start(os.Args[1]))
}
