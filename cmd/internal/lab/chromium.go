package lab

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ringlink/store/storetest"
)

// StartChromium starts Debian's Chromium with an empty profile and returns the
// context of its first tab for chromedp.Run and chromedp.Do; chromedp.NewContext on it opens more. It is
// the real browser without a window: chromium-headless-shell lets pages open
// windows that Chromium blocks, and so passes falsely.
//
// The context has no deadline of its own: a test gives each step one.
func StartChromium(tb testing.TB) context.Context {
	tb.Helper()
	storetest.Opted(tb, storetest.TierChromium)
	path, err := exec.LookPath("chromium")
	if err != nil {
		storetest.Missing(tb, storetest.TierChromium, "chromium: %v", err)
	}
	// Not chromedp's default list, which switches off the very popup blocker that
	// the desk has to live with. Without a user-data-dir chromedp makes an empty one and removes it.
	allocator, end := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path),
		chromedp.Flag("headless", "new"),
		chromedp.NoSandbox, // CI runs as root
		chromedp.DisableGPU,
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("password-store", "basic"),
		chromedp.WindowSize(1280, 900),
	)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(tb.Logf))
	tb.Cleanup(func() {
		// The browser closes by itself when asked, and is killed by end in any case.
		stop, done := context.WithTimeout(ctx, 10*time.Second)
		defer done()
		if err := chromedp.Cancel(stop); err != nil {
			tb.Logf("closing Chromium: %v", err)
		}
		cancel()
		end()
	})
	// The first use starts the browser, and a deadline on its context would end the browser with it.
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatalf("starting Chromium: %v", err)
	}
	return ctx
}
