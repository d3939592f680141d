using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace UringBpf.Cli;

/// <summary>One JSON object on a line of its own, members in the order written; absent values are null.</summary>
internal static class JsonLine
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a line to standard output.</summary>
    public static void Write(params ReadOnlySpan<(string Name, object? Value)> members)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer, s_options)) Object(writer, members);
        Console.Out.WriteLine(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    private static void Object(Utf8JsonWriter writer, ReadOnlySpan<(string Name, object? Value)> members)
    {
        writer.WriteStartObject();
        foreach (var (name, value) in members)
        {
            writer.WritePropertyName(name);
            Value(writer, value);
        }
        writer.WriteEndObject();
    }

    private static void Value(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null: writer.WriteNullValue(); break;
            case string text: writer.WriteStringValue(text); break;
            case bool flag: writer.WriteBooleanValue(flag); break;
            case int number: writer.WriteNumberValue(number); break;
            case uint number: writer.WriteNumberValue(number); break;
            case long number: writer.WriteNumberValue(number); break;
            case ulong number: writer.WriteNumberValue(number); break;
            case double number: writer.WriteNumberValue(Math.Round(number, 3)); break;
            case (string Name, object? Value)[] members: Object(writer, members); break;
            case IEnumerable<object?> items:
                writer.WriteStartArray();
                foreach (var item in items) Value(writer, item);
                writer.WriteEndArray();
                break;
            default: throw new ArgumentException($"no JSON for {value.GetType()}", nameof(value));
        }
    }
}
