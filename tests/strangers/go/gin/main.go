// gin with go-gin-prometheus.
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"
	ginprometheus "github.com/zsais/go-gin-prometheus"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.Default()
	p := ginprometheus.NewPrometheus("gin")
	p.Use(r)
	r.GET("/", func(c *gin.Context) {
		time.Sleep(120 * time.Millisecond)
		c.String(http.StatusOK, "well")
	})
	// Not by a panic: the library counts no request that ends in one.
	r.GET("/fail", func(c *gin.Context) { c.Status(http.StatusInternalServerError) })
	log.Fatal(r.Run(os.Args[1]))
}
