// A small desk: follows orders and trades on the bridge's topics, places one order far from the market, cancels it.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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
	servers = env("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
	account = env("LTP_PREFIX", "ltp") + "." + env("LTP_ACCOUNT", "main")
	watch   = seconds("LTP_SECONDS", "10")
	answer  = seconds("LTP_ANSWER_SECONDS", "10")
	over    = []string{"FILLED", "CANCELLED", "CANCELED", "REJECT", "REJECTED", "FAIL", "EXPIRED"}
	place   = map[string]string{
		"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "LIMIT", "timeInForce": "GTC",
		"orderQty": "0.003", "limitPrice": "20000",
	}
)

const (
	catchUp  = 2 * time.Minute
	lookBack = 10_000  // results: more than an owner that was put out can still write after its successor's first word
	tradeIDs = 100_000 // over an hour of trades at the venue's pace; for longer, make ce_id a key of your database
)

// A topic is what has been read of one: what is missing, and what is void.
type topic struct {
	name, ceType               string
	compacted, canBeVoid       bool
	records, holes, gone, void int64
	epoch, absent, next        int64
	last                       map[int64]last // by epoch
}

type last struct{ sequence, absent int64 }

// take counts a record and says whether it is neither void nor of a type that this program does not know.
func (t *topic) take(record *kgo.Record) (bool, error) {
	epoch, noEpoch := strconv.ParseInt(header(record, "ce_epoch"), 10, 64)
	sequence, noSequence := strconv.ParseInt(header(record, "ce_sequence"), 10, 64)
	if err := errors.Join(noEpoch, noSequence); err != nil {
		return false, err
	}
	// Kafka gives every offset out, so one that is absent has expired, or was compacted, or lies before where we
	// began. That many numbers may be missing without a loss; one more, and a record was lost: a hole.
	if t.compacted || t.records == 0 {
		t.absent = record.Offset - t.records
	}
	t.records++
	t.next = record.Offset + 1
	before := t.last[epoch]
	if sequence > before.sequence { // else it was written again because its acknowledgement was lost
		t.last[epoch] = last{sequence, t.absent}
		missing := sequence - before.sequence - 1
		gone := min(missing, t.absent-before.absent)
		t.gone += gone
		if missing > gone {
			t.holes++
			fmt.Printf("HOLE  %s: %d lost before sequence %d of epoch %d\n", t.name, missing-gone, sequence, epoch)
		}
	}
	if t.canBeVoid && epoch < t.epoch {
		t.void++
		return false, nil
	}
	t.epoch = max(epoch, t.epoch)
	return header(record, "ce_type") == t.ceType, nil
}

func (t *topic) String() string {
	return fmt.Sprintf("%s  records %d  holes %d  gone %d  void %d", t.name, t.records, t.holes, t.gone, t.void)
}

// A value has the fields of orders, trades and results that are of interest here.
type value struct {
	OrderState string      `json:"orderState"`
	Sym        string      `json:"sym"`
	Side       string      `json:"side"`
	Quantity   json.Number `json:"quantity"`
	Outcome    string      `json:"outcome"`
	OrderID    string      `json:"orderId"`
}

// A desk is what the topics have told, and a way to ask.
type desk struct {
	client                  *kgo.Client
	topics                  map[string]*topic
	orders, trades, results *topic
	live                    map[string]value
	net                     map[string]*big.Rat
	seen                    map[string]bool
	seenInOrder             []string
	duplicates              int
	asked                   string
	answer                  *kgo.Record
}

// newDesk reads orders and trades from the beginning, results from a little before their end.
//
// In no consumer group: what is known is only in memory, so nothing that was read is done with, and a topic has one
// partition, so there is nothing to share out.
func newDesk() (*desk, error) {
	d := &desk{
		topics: map[string]*topic{}, live: map[string]value{}, net: map[string]*big.Rat{}, seen: map[string]bool{},
		orders:  &topic{name: account + ".orders", ceType: "ltp.order.v1", compacted: true, canBeVoid: true},
		trades:  &topic{name: account + ".trades", ceType: "ltp.trade.v1"}, // an execution is a fact, whoever tells it
		results: &topic{name: account + ".results", ceType: "ltp.result.v1", canBeVoid: true},
	}
	from := map[string]map[int32]kgo.Offset{}
	for _, t := range []*topic{d.orders, d.trades, d.results} {
		t.last, d.topics[t.name] = map[int64]last{}, t
		from[t.name] = map[int32]kgo.Offset{0: kgo.NewOffset().AtStart()}
	}
	from[d.results.name][0] = kgo.NewOffset().AtEnd().Relative(-lookBack)
	var err error
	d.client, err = kgo.NewClient(kgo.SeedBrokers(strings.Split(servers, ",")...), kgo.ConsumePartitions(from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ProducerLinger(0), kgo.RetryTimeout(10*time.Second))
	return d, err
}

// catchUp reads to where the topics end now.
func (d *desk) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	admin, names := kadm.NewClient(d.client), slices.Collect(maps.Keys(d.topics))
	starts, noStarts := admin.ListStartOffsets(ctx, names...)
	ends, noEnds := admin.ListEndOffsets(ctx, names...)
	if err := errors.Join(noStarts, noEnds, starts.Error(), ends.Error()); err != nil {
		return err
	}
	for name, t := range d.topics {
		start, _ := starts.Lookup(name, 0)
		end, _ := ends.Lookup(name, 0)
		for max(t.next, start.Offset) < end.Offset {
			if err := d.read(ctx); err != nil {
				return fmt.Errorf("%s was not read to its end: %w", name, err)
			}
		}
	}
	return nil
}

// read takes what is there, or waits a moment for it.
func (d *desk) read(ctx context.Context) error {
	moment, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
	defer cancel()
	fetches := d.client.PollFetches(moment)
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			return fmt.Errorf("%s: %w", failed.Topic, failed.Err)
		}
	}
	for record := range fetches.RecordsAll() {
		if err := d.take(d.topics[record.Topic], record); err != nil {
			return fmt.Errorf("%s offset %d cannot be read: %w", record.Topic, record.Offset, err)
		}
	}
	return ctx.Err()
}

func (d *desk) take(t *topic, record *kgo.Record) error {
	if counts, err := t.take(record); err != nil || !counts {
		return err
	}
	var v value
	if record.Value != nil {
		if err := json.Unmarshal(record.Value, &v); err != nil {
			return err
		}
	}
	key, id := string(record.Key), header(record, "ce_id")
	switch {
	case t == d.orders: // the last record of a key is the truth; one without value ends it
		if record.Value == nil || slices.Contains(over, strings.ToUpper(v.OrderState)) {
			delete(d.live, key)
		} else {
			d.live[key] = v
		}
	case t == d.results:
		if key == d.asked && v.Outcome != "unknown" { // which is no last word: the venue is being asked
			d.answer = record
		}
	case d.seen[id]:
		d.duplicates++
	default:
		d.seen[id] = true
		if d.seenInOrder = append(d.seenInOrder, id); len(d.seenInOrder) > tradeIDs {
			delete(d.seen, d.seenInOrder[0])
			d.seenInOrder = d.seenInOrder[1:]
		}
		quantity, ok := new(big.Rat).SetString(v.Quantity.String())
		if !ok {
			return fmt.Errorf("%q is no quantity", v.Quantity)
		}
		if v.Side != "BUY" {
			quantity.Neg(quantity)
		}
		if sum := d.net[v.Sym]; sum != nil {
			quantity.Add(quantity, sum)
		}
		d.net[v.Sym] = quantity
	}
	return nil
}

// ask writes a command and returns its last word.
func (d *desk) ask(ctx context.Context, action string, args map[string]string) (value, error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	d.asked, d.answer = newUUID(), nil
	trace := fmt.Sprintf("00-%x-%x-01", random(16), random(8))
	validUntil := time.Now().Add(answer).UnixMilli() // what nobody waits for any more must not be sent
	command, err := json.Marshal(map[string]any{
		"commandId": d.asked, "action": action, "validUntil": validUntil, "args": args,
	})
	if err != nil {
		return value{}, err
	}
	began := time.Now()
	err = d.client.ProduceSync(ctx, &kgo.Record{
		Topic: account + ".commands", Key: []byte(d.asked), Value: command,
		Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte(trace)}},
	}).FirstErr()
	for err == nil && d.answer == nil {
		err = d.read(ctx)
	}
	if d.answer == nil {
		return value{}, fmt.Errorf("no last word on %s %s within %s. It may have been carried out, or may be yet. Send the "+
			"same command again, under the same commandId: it is carried out at most once, and its first outcome comes again; a "+
			"new one may be a second order. See %s.dead-letters too: %w", action, d.asked, answer, account, err)
	}
	took := time.Since(began).Seconds() * 1000
	var result value
	if err := json.Unmarshal(d.answer.Value, &result); err != nil {
		return result, err
	}
	fmt.Printf("%-12s  %s in %.1f ms  %s\n", action, result.Outcome, took, result.OrderID)
	if header(d.answer, "traceparent") != trace {
		return result, fmt.Errorf("the result of %s came without its traceparent", d.asked)
	}
	return result, nil
}

// trade places, cancels and watches for a while; its error is what was missing or not answered as it should be.
func (d *desk) trade(ctx context.Context) error {
	if err := d.catchUp(ctx); err != nil {
		return err
	}
	placed, err := d.ask(ctx, "place_order", place)
	if err != nil {
		return err
	}
	if placed.Outcome != "accepted" {
		return fmt.Errorf("the place was not accepted: %s", d.answer.Value)
	}
	if _, err := d.ask(ctx, "cancel_order", map[string]string{"orderId": placed.OrderID}); err != nil {
		return err
	}
	for until := time.Now().Add(watch); time.Now().Before(until); {
		if err := d.read(ctx); err != nil {
			return err
		}
	}
	if err := d.catchUp(ctx); err != nil {
		return err
	}
	if _, live := d.live[placed.OrderID]; live { // whatever the cancel's outcome was, this is the truth
		return fmt.Errorf("order %s is still live", placed.OrderID)
	}
	if d.orders.holes+d.trades.holes+d.results.holes > 0 {
		return errors.New("records were lost")
	}
	return nil
}

func (d *desk) tell() {
	var net []string
	for _, sym := range slices.Sorted(maps.Keys(d.net)) {
		digits, _ := d.net[sym].FloatPrec()
		net = append(net, sym+" "+d.net[sym].FloatString(digits))
	}
	fmt.Printf("%s  live %d\n", d.orders, len(d.live))
	fmt.Printf("%s  duplicates %d  net %s\n", d.trades, d.duplicates, cmp.Or(strings.Join(net, ", "), "nothing"))
	fmt.Println(d.results)
}

// Exit code 1 says that something was missing or was not answered.
func main() {
	d, err := newDesk()
	if err == nil {
		err = d.trade(context.Background())
		d.tell()
		d.client.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "BROKEN ", err)
		os.Exit(1)
	}
}

func header(record *kgo.Record, name string) string {
	for _, one := range record.Headers {
		if one.Key == name {
			return string(one.Value)
		}
	}
	return ""
}

func newUUID() string {
	id := random(16)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func random(count int) []byte {
	made := make([]byte, count)
	_, _ = rand.Read(made) // it never fails
	return made
}

func env(name, otherwise string) string {
	return cmp.Or(os.Getenv(name), otherwise)
}

func seconds(name, otherwise string) time.Duration {
	duration, err := time.ParseDuration(env(name, otherwise) + "s")
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	return duration
}
