// A small desk: it follows orders and trades, places one order far below the market, awaits its result, cancels it.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	servers  = cmp.Or(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), "localhost:9092")
	account  = cmp.Or(os.Getenv("LTP_PREFIX"), "ltp") + "." + cmp.Or(os.Getenv("LTP_ACCOUNT"), "main")
	answer   = 15 * time.Second // a place is valid for 10 s: after that it has its terminal result, or the bridge is down
	watch, _ = time.ParseDuration(cmp.Or(os.Getenv("LTP_SECONDS"), "10") + "s")
	order    = map[string]string{"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "LIMIT",
		"timeInForce": "GTC", "orderQty": "0.003", "limitPrice": "20000"}
	known = []string{"ltp.order.v1", "ltp.trade.v1", "ltp.result.v1"} // all others are ignored
	over  = []string{"FILLED", "CANCELLED", "CANCELED", "REJECT", "REJECTED", "FAIL", "EXPIRED"}
)

// A topic holds the sequence numbers of one topic, which show missing and void records.
type topic struct {
	stream                    string
	last                      map[int]int // the last sequence of each epoch
	begin, next               int64
	records, lost, gone, void int
}

// counts counts the next record; it returns false if the record is void.
func (t *topic) counts(offset int64, epoch, sequence int) bool {
	if t.records == 0 {
		t.begin = offset
	}
	t.next = offset + 1
	t.records++
	// Each epoch numbers its records from 1. A missing number is a lost record, unless Kafka may have removed it:
	// anywhere in a compacted topic, and before an epoch's first record if the topic begins after offset 0. A
	// reader cannot see what is lost after an epoch's last record.
	last := t.last[epoch]
	missing := max(0, sequence-last-1) // a number that is not higher than the last is a repeat
	t.last[epoch] = max(last, sequence)
	if t.stream == "orders" || (last == 0 && t.begin > 0) {
		t.gone += missing
	} else if missing > 0 {
		t.lost += missing
		fmt.Printf("LOST  %s: %d before sequence %d of epoch %d\n", t.stream, missing, sequence, epoch)
	}
	// A former owner may still be writing: its executions count, its states and answers are void.
	if t.stream != "trades" && epoch < slices.Max(slices.Collect(maps.Keys(t.last))) {
		t.void++
		return false
	}
	return true
}

// A value has the fields of orders, trades and results that this program needs.
type value struct {
	OrderState, Sym, Side, Outcome, OrderID string
	Quantity                                json.Number
	Repeated                                bool
	trace                                   string
}

var (
	client  *kgo.Client
	topics  = map[string]*topic{}
	live    = map[string]value{}    // by orderId
	bought  = map[string]*big.Rat{} // by ce_id, so each trade counts once; in a long run, a unique key in your database
	results = map[string]value{}    // by commandId
)

// read reads the next records, or waits a moment for them.
func read() {
	moment, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	defer cancel()
	fetches := client.PollFetches(moment)
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			log.Fatalf("BROKEN  %s: %v", failed.Topic, failed.Err)
		}
	}
	for record := range fetches.RecordsAll() {
		header := map[string]string{}
		for _, one := range record.Headers {
			header[one.Key] = string(one.Value)
		}
		epoch, noEpoch := strconv.Atoi(header["ce_epoch"])
		sequence, noSequence := strconv.Atoi(header["ce_sequence"])
		if err := errors.Join(noEpoch, noSequence); err != nil {
			log.Fatalf("BROKEN  %s offset %d: %v", record.Topic, record.Offset, err)
		}
		counts := topics[record.Topic].counts(record.Offset, epoch, sequence)
		if !counts || !slices.Contains(known, header["ce_type"]) {
			continue
		}
		key, v := string(record.Key), value{trace: header["traceparent"]}
		if err := json.Unmarshal(record.Value, &v); record.Value != nil && err != nil {
			log.Fatalf("BROKEN  %s offset %d: %v", record.Topic, record.Offset, err)
		}
		switch header["ce_type"] {
		case "ltp.order.v1":
			live[key] = v
			if record.Value == nil || slices.Contains(over, strings.ToUpper(v.OrderState)) {
				delete(live, key)
			}
		case "ltp.trade.v1":
			if v.Sym == order["sym"] {
				quantity, _ := new(big.Rat).SetString(v.Quantity.String())
				if v.Side != "BUY" {
					quantity.Neg(quantity)
				}
				bought[header["ce_id"]] = quantity
			}
		case "ltp.result.v1":
			if v.Outcome != "unknown" { // unknown is not terminal
				results[key] = v
			}
		}
	}
}

// follow reads for so many seconds, and at least to the present ends of the topics.
func follow(ctx context.Context, long time.Duration) {
	until, admin, names := time.Now().Add(long), kadm.NewClient(client), slices.Collect(maps.Keys(topics))
	starts, noStarts := admin.ListStartOffsets(ctx, names...)
	ends, noEnds := admin.ListEndOffsets(ctx, names...)
	if err := cmp.Or(noStarts, noEnds, starts.Error(), ends.Error()); err != nil {
		log.Fatalf("BROKEN  %v at %s: %v", names, servers, err)
	}
	for name, t := range topics {
		start, _ := starts.Lookup(name, 0)
		end, _ := ends.Lookup(name, 0)
		for time.Now().Before(until) || max(t.next, start.Offset) < end.Offset {
			read()
		}
	}
}

// ask writes a command, awaits its terminal result, and returns the order's id.
func ask(ctx context.Context, action string, args map[string]string) string {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails
	commandID, trace := rand.Text(), fmt.Sprintf("00-%x-%x-01", random[:16], random[16:])
	command, _ := json.Marshal(map[string]any{"commandId": commandID, "action": action, "args": args})
	client.Produce(ctx, &kgo.Record{
		Topic: account + ".commands", Key: []byte(commandID), Value: command,
		Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte(trace)}},
	}, nil)
	for until := time.Now().Add(answer); results[commandID].Outcome == ""; read() {
		if time.Now().After(until) {
			log.Fatalf("BROKEN  no result within %s: send the SAME command again: %s", answer, command)
		}
	}
	result := results[commandID]
	fmt.Printf("%s  %s\n", action, result.Outcome)
	if result.Outcome != "accepted" || result.trace != trace {
		log.Fatalf("BROKEN  %s was not accepted, or not under traceparent %s: %+v", action, trace, result)
	}
	if result.Repeated { // a used commandId: the bridge did nothing now
		log.Fatalf("BROKEN  %s has a commandId that is not fresh: %+v", action, result)
	}
	return result.OrderID
}

func main() {
	log.SetFlags(0)
	// No consumer group: the state is only in memory, so every start reads from the beginning.
	from, ctx := map[string]map[int32]kgo.Offset{}, context.Background()
	for _, stream := range []string{"orders", "trades", "results"} {
		topics[account+"."+stream] = &topic{stream: stream, last: map[int]int{}}
		from[account+"."+stream] = map[int32]kgo.Offset{0: kgo.NewOffset().AtStart()}
	}
	var err error
	client, err = kgo.NewClient(kgo.SeedBrokers(strings.Split(servers, ",")...), kgo.ConsumePartitions(from),
		kgo.RetryTimeout(10*time.Second)) // how long a broker may be away
	if err != nil {
		log.Fatalf("BROKEN  %v", err)
	}
	defer client.Close()

	follow(ctx, 0) // results too: be at their end before you send a command
	orderID := ask(ctx, "place_order", order)
	ask(ctx, "cancel_order", map[string]string{"orderId": orderID})
	follow(ctx, watch)

	lost, sum := 0, new(big.Rat)
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		t := topics[name]
		fmt.Printf("%s  records %d  lost %d  gone %d  void %d\n", name, t.records, t.lost, t.gone, t.void)
		lost += t.lost
	}
	for _, quantity := range bought {
		sum.Add(sum, quantity)
	}
	digits, _ := sum.FloatPrec()
	fmt.Printf("live orders %d  %s trades %d  bought %s\n", len(live), order["sym"], len(bought), sum.FloatString(digits))
	if lost > 0 {
		log.Fatal("BROKEN  records were lost")
	}
}
