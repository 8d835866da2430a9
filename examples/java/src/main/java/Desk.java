import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.StringJoiner;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** A small desk: follows orders and trades on the bridge's topics, places one order far from the market, cancels it. */
public final class Desk implements AutoCloseable {
    static final String SERVERS = env("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092");
    static final String ACCOUNT = env("LTP_PREFIX", "ltp") + "." + env("LTP_ACCOUNT", "main");
    static final long WATCH_MS = new BigDecimal(env("LTP_SECONDS", "10")).movePointRight(3).longValue();
    static final long ANSWER_MS = new BigDecimal(env("LTP_ANSWER_SECONDS", "10")).movePointRight(3).longValue();
    static final long CATCH_UP_MS = 120_000;
    static final long LOOK_BACK = 10_000; // results: more than an owner that was put out can write after its successor
    static final int TRADE_IDS = 100_000; // over an hour at the venue's pace; for longer, make ce_id a database key
    static final Set<String> OVER = Set.of("FILLED", "CANCELLED", "CANCELED", "REJECT", "REJECTED", "FAIL", "EXPIRED");
    static final Map<String, String> PLACE = Map.of("sym", "BINANCE_PERP_BTC_USDT", "side", "BUY", "orderType", "LIMIT",
            "timeInForce", "GTC", "orderQty", "0.003", "limitPrice", "20000");
    static final JsonMapper JSON =
            JsonMapper.builder().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();

    /** What has been read of one topic: what is missing, and what is void. */
    static final class Topic {
        private record Last(long sequence, long absent) {}

        final TopicPartition partition;
        private final String ceType;
        private final boolean compacted;
        private final boolean canBeVoid;
        private final Map<Long, Last> lastOfEpoch = new HashMap<>();
        private long records, holes, gone, voids, highestEpoch, absent;

        Topic(String stream, String ceType, boolean compacted, boolean canBeVoid) {
            this.partition = new TopicPartition(ACCOUNT + "." + stream, 0);
            this.ceType = ceType;
            this.compacted = compacted;
            this.canBeVoid = canBeVoid;
        }

        /** Counts a record, and says whether it is neither void nor of a type that this program does not know. */
        boolean take(ConsumerRecord<String, String> record) {
            long epoch = Long.parseLong(header(record, "ce_epoch"));
            long sequence = Long.parseLong(header(record, "ce_sequence"));
            // Kafka gives every offset out, so one that is absent has expired, or was compacted, or lies before where
            // we began. That many numbers may be missing without a loss; one more, and a record was lost: a hole.
            if (compacted || records == 0) absent = record.offset() - records;
            records++;
            Last last = lastOfEpoch.getOrDefault(epoch, new Last(0, 0));
            if (sequence > last.sequence) { // else it was written again because its acknowledgement was lost
                lastOfEpoch.put(epoch, new Last(sequence, absent));
                long missing = sequence - last.sequence - 1;
                long explained = Math.min(missing, absent - last.absent);
                gone += explained;
                if (missing > explained) {
                    holes++;
                    say("HOLE  %s: %d lost before sequence %d of epoch %d",
                            partition.topic(), missing - explained, sequence, epoch);
                }
            }
            if (canBeVoid && epoch < highestEpoch) {
                voids++;
                return false;
            }
            highestEpoch = Math.max(epoch, highestEpoch);
            return header(record, "ce_type").equals(ceType);
        }

        @Override
        public String toString() {
            return "%s  records %d  holes %d  gone %d  void %d".formatted(partition.topic(), records, holes, gone, voids);
        }
    }

    private final Topic orders = new Topic("orders", "ltp.order.v1", true, true);
    private final Topic trades = new Topic("trades", "ltp.trade.v1", false, false); // a fact, whoever tells it
    private final Topic results = new Topic("results", "ltp.result.v1", false, true);
    private final Map<TopicPartition, Topic> topics =
            Map.of(orders.partition, orders, trades.partition, trades, results.partition, results);
    private final Map<String, JsonNode> live = new HashMap<>();
    private final Map<String, BigDecimal> net = new TreeMap<>();
    private final LinkedHashSet<String> tradeIds = new LinkedHashSet<>();
    private long duplicates;
    private String asked = "";
    private ConsumerRecord<String, String> answer;

    private final KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
            Map.of("bootstrap.servers", SERVERS, "enable.auto.commit", false, "auto.offset.reset", "earliest",
                    "allow.auto.create.topics", false, "default.api.timeout.ms", 10_000),
            new StringDeserializer(), new StringDeserializer());
    private final KafkaProducer<String, String> producer = new KafkaProducer<>(
            Map.of("bootstrap.servers", SERVERS, "acks", "all", "linger.ms", 0, "max.block.ms", 5_000,
                    "request.timeout.ms", 5_000, "delivery.timeout.ms", 10_000),
            new StringSerializer(), new StringSerializer());

    /**
     * Reads up to now: orders and trades from the beginning, results from a little before their end.
     *
     * <p>In no consumer group: what is known is only in memory, so nothing that was read is done with, and a topic has
     * one partition, so there is nothing to share out.
     */
    void begin() {
        consumer.assign(topics.keySet());
        long end = consumer.endOffsets(List.of(results.partition)).get(results.partition);
        consumer.beginningOffsets(topics.keySet()).forEach((partition, first) -> consumer.seek(
                partition, partition.equals(results.partition) ? Math.max(first, end - LOOK_BACK) : first));
        catchUp();
    }

    /** Reads to where the topics end now. */
    void catchUp() {
        long began = now();
        consumer.endOffsets(topics.keySet()).forEach((partition, end) -> {
            while (consumer.position(partition) < end) {
                if (now() - began > CATCH_UP_MS) {
                    throw new IllegalStateException(partition + " was not read to its end within " + CATCH_UP_MS + " ms");
                }
                read();
            }
        });
    }

    /** Takes what is there, or waits a moment for it. */
    void read() {
        for (var record : consumer.poll(Duration.ofMillis(250))) {
            try {
                take(topics.get(new TopicPartition(record.topic(), record.partition())), record);
            } catch (IOException | RuntimeException error) {
                String where = record.topic() + " offset " + record.offset();
                throw new IllegalStateException(where + " cannot be read: " + error, error);
            }
        }
    }

    private void take(Topic topic, ConsumerRecord<String, String> record) throws IOException {
        if (!topic.take(record)) return;
        JsonNode value = record.value() == null ? null : JSON.readTree(record.value());
        if (topic == orders) { // the last record of a key is the truth; one without value ends it
            boolean over = value == null || OVER.contains(text(value, "orderState").toUpperCase(Locale.ROOT));
            if (over) live.remove(record.key());
            else live.put(record.key(), value);
        } else if (topic == results) {
            boolean last = !text(value, "outcome").equals("unknown"); // which is no last word: the venue is being asked
            if (last && asked.equals(record.key())) answer = record;
        } else if (!tradeIds.add(header(record, "ce_id"))) {
            duplicates++;
        } else {
            if (tradeIds.size() > TRADE_IDS) tradeIds.remove(tradeIds.iterator().next());
            var quantity = new BigDecimal(text(value, "quantity"));
            var signed = text(value, "side").equals("BUY") ? quantity : quantity.negate();
            net.merge(text(value, "sym"), signed, BigDecimal::add);
        }
    }

    /** Writes a command and returns its last word; throws IllegalStateException when none comes in time. */
    JsonNode ask(String action, Map<String, String> args) throws IOException, InterruptedException {
        String commandId = UUID.randomUUID().toString();
        long validUntil = System.currentTimeMillis() + ANSWER_MS; // what nobody waits for any more must not be sent
        var command = Map.of("commandId", commandId, "action", action, "validUntil", validUntil, "args", args);
        var record = new ProducerRecord<>(ACCOUNT + ".commands", commandId, JSON.writeValueAsString(command));
        record.headers().add("traceparent", "00-%s-%s-01".formatted(hex(32), hex(16)).getBytes(UTF_8));
        asked = commandId;
        answer = null;
        long began = System.nanoTime();
        Throwable cause = null;
        try {
            producer.send(record).get();
            while (answer == null && System.nanoTime() - began < ANSWER_MS * 1_000_000) read();
        } catch (ExecutionException error) {
            cause = error.getCause(); // it may be on the topic all the same
        }
        if (answer == null) {
            throw new IllegalStateException(("no last word on %s %s within %d ms. It may have been carried out, or may be "
                    + "yet. Send the same command again, under the same commandId: it is carried out at most once, and its first "
                    + "outcome comes again; a new one may be a second order. See %s.dead-letters too.")
                    .formatted(action, commandId, ANSWER_MS, ACCOUNT), cause);
        }
        double tookMs = (System.nanoTime() - began) / 1e6;
        JsonNode result = JSON.readTree(answer.value());
        say("%-12s  %s in %.1f ms  %s", action, text(result, "outcome"), tookMs, result.path("orderId").asText());
        if (!record.headers().lastHeader("traceparent").equals(answer.headers().lastHeader("traceparent"))) {
            throw new IllegalStateException("the result of " + commandId + " came without its traceparent");
        }
        return result;
    }

    /** Places, cancels, watches for a while; throws IllegalStateException for what was missing or not answered. */
    void trade() throws IOException, InterruptedException {
        begin();
        JsonNode placed = ask("place_order", PLACE);
        if (!text(placed, "outcome").equals("accepted")) {
            throw new IllegalStateException("the place was not accepted: " + placed);
        }
        String orderId = text(placed, "orderId");
        ask("cancel_order", Map.of("orderId", orderId));
        long began = now();
        while (now() - began < WATCH_MS) read();
        catchUp();
        if (live.containsKey(orderId)) { // whatever the cancel's outcome was, this is the truth
            throw new IllegalStateException("order " + orderId + " is still live");
        }
        if (topics.values().stream().anyMatch(topic -> topic.holes > 0)) {
            throw new IllegalStateException("records were lost");
        }
    }

    void tell() {
        var sums = new StringJoiner(", ").setEmptyValue("nothing");
        net.forEach((sym, sum) -> sums.add(sym + " " + sum.stripTrailingZeros().toPlainString()));
        say("%s  live %d", orders, live.size());
        say("%s  duplicates %d  net %s", trades, duplicates, sums);
        say("%s", results);
    }

    @Override
    public void close() {
        consumer.close();
        producer.close(Duration.ofSeconds(5));
    }

    /** Trades and tells; exit code 1 says that something was missing or was not answered. */
    public static void main(String[] args) throws IOException, InterruptedException {
        int exitCode = 0;
        try (Desk desk = new Desk()) {
            try {
                desk.trade();
            } finally {
                desk.tell();
            }
        } catch (IllegalStateException | KafkaException error) {
            System.err.println("BROKEN  " + error.getMessage());
            exitCode = 1;
        }
        System.exit(exitCode);
    }

    private static String header(ConsumerRecord<?, ?> record, String name) {
        return new String(record.headers().lastHeader(name).value(), UTF_8);
    }

    private static String text(JsonNode node, String field) {
        return node.required(field).asText();
    }

    private static String hex(int digits) {
        return UUID.randomUUID().toString().replace("-", "").substring(0, digits);
    }

    private static String env(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }

    private static long now() {
        return System.nanoTime() / 1_000_000;
    }

    private static void say(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
    }
}
