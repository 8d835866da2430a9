import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** A small desk: it follows orders and trades, places one order far below the market, cancels it. */
public final class Desk {
  static final Map<String, String> ENV = System.getenv();
  static final String SERVERS = ENV.getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092");
  static final String ACCOUNT = ENV.getOrDefault("LTP_PREFIX", "ltp") + "." + ENV.getOrDefault("LTP_ACCOUNT", "main");
  static final long WATCH_S = Long.parseLong(ENV.getOrDefault("LTP_SECONDS", "10"));
  static final long ANSWER_S = 15; // a place is valid for 10 s: after that it has its result, or the bridge is down
  static final Map<String, String> ORDER = Map.of(
      "sym", "BINANCE_PERP_BTC_USDT", "side", "BUY", "orderType", "LIMIT",
      "timeInForce", "GTC", "orderQty", "0.003", "limitPrice", "20000");
  static final Set<String> OVER = Set.of("FILLED", "CANCELLED", "CANCELED", "REJECT", "REJECTED", "FAIL", "EXPIRED");
  static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);

  /** The sequence numbers of one topic, which show missing and void records. */
  static final class Topic {
    final String stream;
    final TreeMap<Long, Long> lastOf = new TreeMap<>(); // the last sequence of each epoch
    long begin, records, lost, gone, voids;

    Topic(String stream) {
      this.stream = stream;
    }

    /** Counts the next record; returns false if it is void. */
    boolean counts(ConsumerRecord<?, ?> record) {
      long epoch = Long.parseLong(header(record, "ce_epoch"));
      long sequence = Long.parseLong(header(record, "ce_sequence"));
      if (records++ == 0) begin = record.offset();
      // Each epoch numbers its records from 1. A missing number is a lost record, unless Kafka may have removed it:
      // anywhere in a compacted topic, and before an epoch's first record if the topic begins after offset 0. A
      // reader cannot see what is lost after an epoch's last record.
      long last = lastOf.getOrDefault(epoch, 0L);
      long missing = Math.max(0, sequence - last - 1); // not higher than the last: a repeat
      lastOf.put(epoch, Math.max(last, sequence));
      if (stream.equals("orders") || (last == 0 && begin > 0)) {
        gone += missing;
      } else if (missing > 0) {
        lost += missing;
        System.out.printf("LOST  %s: %d before sequence %d of epoch %d%n", stream, missing, sequence, epoch);
      }
      // A former owner may still be writing: its executions count, its states and answers are void.
      boolean isVoid = epoch < lastOf.lastKey() && !stream.equals("trades");
      if (isVoid) voids++;
      return !isVoid;
    }
  }

  final Map<String, Topic> topics = new LinkedHashMap<>();
  final Map<String, JsonNode> live = new HashMap<>(); // by orderId
  final Map<String, BigDecimal> bought = new HashMap<>(); // by ce_id: each counts once (in a database, a unique key)
  final Map<String, ConsumerRecord<String, String>> results = new HashMap<>(); // by commandId

  // No consumer group: the state is only in memory, so every start reads from the beginning.
  final KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
      Map.of("bootstrap.servers", SERVERS, "auto.offset.reset", "earliest"),
      new StringDeserializer(), new StringDeserializer());
  final KafkaProducer<String, String> producer = new KafkaProducer<>(
      Map.of("bootstrap.servers", SERVERS, "acks", "all"),
      new StringSerializer(), new StringSerializer());

  /** Reads the next records, or waits a moment for them. */
  void read() throws Exception {
    for (var record : consumer.poll(Duration.ofMillis(250))) {
      if (!topics.get(record.topic()).counts(record)) continue;
      String key = record.key();
      JsonNode value = JSON.readTree(record.value() == null ? "null" : record.value());
      switch (header(record, "ce_type")) { // all others are ignored
        case "ltp.order.v1" -> {
          live.put(key, value);
          if (value.isNull() || OVER.contains(text(value, "orderState").toUpperCase(Locale.ROOT))) live.remove(key);
        }
        case "ltp.trade.v1" -> {
          var quantity = new BigDecimal(text(value, "quantity"));
          if (!text(value, "side").equals("BUY")) quantity = quantity.negate();
          if (text(value, "sym").equals(ORDER.get("sym"))) bought.put(header(record, "ce_id"), quantity);
        }
        case "ltp.result.v1" -> { // unknown is not terminal
          if (!text(value, "outcome").equals("unknown")) results.put(key, record);
        }
      }
    }
  }

  /** Reads for so many seconds, and at least to the present ends of the topics. */
  void follow(long seconds) throws Exception {
    var until = Instant.now().plusSeconds(seconds);
    for (var end : consumer.endOffsets(consumer.assignment()).entrySet()) {
      while (Instant.now().isBefore(until) || consumer.position(end.getKey()) < end.getValue()) read();
    }
  }

  /** Writes a command, awaits its terminal result, and returns the order's id. */
  String ask(String action, Map<String, String> args) throws Exception {
    var commandId = UUID.randomUUID().toString();
    var command = JSON.writeValueAsString(Map.of("commandId", commandId, "action", action, "args", args));
    var record = new ProducerRecord<>(ACCOUNT + ".commands", commandId, command);
    var random = ThreadLocalRandom.current();
    var trace = "00-%016x%016x-%016x-01".formatted(random.nextLong(), random.nextLong(), random.nextLong());
    record.headers().add("traceparent", trace.getBytes(UTF_8));
    var until = Instant.now().plusSeconds(ANSWER_S);
    producer.send(record);
    while (!results.containsKey(commandId)) {
      if (Instant.now().isAfter(until)) {
        throw new IllegalStateException(
            "no result within " + ANSWER_S + " s: send the SAME command again: " + command);
      }
      read();
    }
    var answer = results.get(commandId);
    var result = JSON.readTree(answer.value());
    var outcome = text(result, "outcome");
    System.out.println(action + "  " + outcome);
    if (!outcome.equals("accepted") || !header(answer, "traceparent").equals(trace)) {
      throw new IllegalStateException(action + " was not accepted, or not under traceparent " + trace + ": " + answer);
    }
    if (result.path("repeated").asBoolean()) { // a used commandId: the bridge did nothing now
      throw new IllegalStateException(action + " has a commandId that is not fresh: " + answer);
    }
    return text(result, "orderId");
  }

  void trade() throws Exception {
    try (consumer; producer) {
      for (var stream : List.of("orders", "trades", "results")) {
        topics.put(ACCOUNT + "." + stream, new Topic(stream));
      }
      if (!consumer.listTopics(Duration.ofSeconds(10)).keySet().containsAll(topics.keySet())) {
        throw new IllegalStateException("not all there: " + topics.keySet() + " at " + SERVERS);
      }
      consumer.assign(topics.keySet().stream().map(name -> new TopicPartition(name, 0)).toList());
      follow(0); // results too: be at their end before you send a command
      String orderId = ask("place_order", ORDER);
      ask("cancel_order", Map.of("orderId", orderId));
      follow(WATCH_S);
    }
    topics.forEach((name, seen) -> System.out.printf("%s  records %d  lost %d  gone %d  void %d%n",
        name, seen.records, seen.lost, seen.gone, seen.voids));
    var sum = bought.values().stream().reduce(BigDecimal.ZERO, BigDecimal::add).stripTrailingZeros();
    System.out.printf("live orders %d  %s trades %d  bought %s%n",
        live.size(), ORDER.get("sym"), bought.size(), sum.toPlainString());
    if (topics.values().stream().anyMatch(seen -> seen.lost > 0)) {
      throw new IllegalStateException("records were lost");
    }
  }

  public static void main(String[] args) throws Exception {
    try {
      new Desk().trade();
    } catch (IllegalStateException | KafkaException error) {
      System.err.println("BROKEN  " + error.getMessage());
      System.exit(1);
    }
  }

  static String text(JsonNode value, String field) {
    return value.required(field).asText();
  }

  static String header(ConsumerRecord<?, ?> record, String name) {
    var header = record.headers().lastHeader(name);
    return header == null ? "" : new String(header.value(), UTF_8);
  }
}
