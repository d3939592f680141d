using System.Collections.Immutable;
using System.Globalization;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf;

/// <summary>An input on which a rejected program does what the verifier feared: the checked interpreter was run on it and faulted there.</summary>
/// <param name="Layout">The context's layout.</param>
/// <param name="Context">The context as the host lays it out, pointers zero; for flat contexts the memory.</param>
/// <param name="Data">What the context's data pointers point to: a completion's bytes, a packet; empty where there are none.</param>
/// <param name="Fault">What the interpreter found.</param>
public sealed record Witness(ContextLayout Layout, ImmutableArray<byte> Context, ImmutableArray<byte> Data, CheckedFault Fault)
{
    private const int MaxShown = 8;

    /// <summary>What is not zero in the input, and the fault, in one line.</summary>
    public override string ToString() => $"{string.Join(", ", Settings())}: {Fault.Message}";

    private IEnumerable<string> Settings()
    {
        var any = false;
        foreach (var setting in Layout.IsFlat ? Bytes("ctx", Context) : Fields())
        {
            any = true;
            yield return setting;
        }
        if (Layout.Fields.Any(field => field.Kind == ContextFieldKind.BufferStart))
        {
            any = true;
            yield return $"data of {Data.Length} bytes";
            foreach (var setting in Bytes("data", Data)) yield return setting;
        }
        if (!any) yield return Layout.IsFlat ? $"ctx of {Context.Length} zeroes" : "all fields zero";
    }

    private IEnumerable<string> Fields()
    {
        foreach (var field in Layout.Fields)
        {
            var bytes = Context.AsSpan().Slice(field.HostOffset, field.HostSize).ToArray();
            if (field.Kind is ContextFieldKind.BufferStart or ContextFieldKind.BufferEnd || bytes.All(octet => octet == 0)) continue;
            if (bytes.Length > sizeof(ulong))
            {
                foreach (var setting in Bytes($"ctx->{field.Name}", [.. bytes])) yield return setting;
                continue;
            }
            var number = 0UL;
            for (var i = bytes.Length - 1; i >= 0; i--) number = number << 8 | bytes[i];
            yield return field.IsSigned ? string.Create(CultureInfo.InvariantCulture, $"ctx->{field.Name} = {(int)number}") : string.Create(CultureInfo.InvariantCulture, $"ctx->{field.Name} = {number}");
        }
    }

    private static IEnumerable<string> Bytes(string name, ImmutableArray<byte> bytes)
    {
        var set = Enumerable.Range(0, bytes.Length).Where(i => bytes[i] != 0).ToArray();
        foreach (var i in set.Take(MaxShown)) yield return $"{name}[{i}] = {bytes[i]}";
        if (set.Length > MaxShown) yield return $"{set.Length - MaxShown} more bytes";
    }
}
