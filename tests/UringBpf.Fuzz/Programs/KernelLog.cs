using System.Globalization;
using System.Text.RegularExpressions;

namespace UringBpf.Fuzz;

/// <summary>Reads the kernel verifier's log (level 1).</summary>
public static partial class KernelLog
{
    /// <summary>
    /// The kernel walks both ways of every comparison of a register with itself and of two pointers into the stack, also the
    /// way that can't be taken. What it refuses on such a path it refuses for nothing.
    /// </summary>
    /// <param name="log">The whole log; its last path is the one that was refused.</param>
    /// <returns>True when the path that was refused took such a jump.</returns>
    public static bool EndsOnImpossiblePath(string log)
    {
        // Values as they were printed last, by frame and register. A path that begins in the middle prints all of its frame.
        var values = new Dictionary<string, string>();
        var impossible = false;
        // Paths that wait were left at a jump: what is known of the one that leads there.
        var leftAt = new Dictionary<int, bool>();
        (int Slot, Match Jump)? open = null;
        foreach (var line in log.Split('\n'))
        {
            if (Resumes().Match(line) is { Success: true } from)
            {
                // "from J to T: …": the other way of jump J. A jump that is walked more than once waits more than once: either.
                var jump = int.Parse(from.Groups["jump"].Value, CultureInfo.InvariantCulture);
                impossible = leftAt.GetValueOrDefault(jump);
                values.Clear();
                Note(line, values);
                continue;
            }
            if (Step().Match(line) is not { Success: true } step) continue;
            var slot = int.Parse(step.Groups["slot"].Value, CultureInfo.InvariantCulture);
            if (open is { } before && Taken(before.Jump, before.Slot, slot) is { } taken && Outcome(before.Jump, values) is { } outcome && taken != outcome) impossible = true;
            open = null;
            Note(line, values);
            if (Comparison().Match(line) is not { Success: true } comparison) continue;
            open = (slot, comparison);
            leftAt[slot] = impossible || leftAt.GetValueOrDefault(slot);
        }
        return impossible;
    }

    private static void Note(string line, Dictionary<string, string> values)
    {
        foreach (Match value in Register().Matches(line)) values[value.Groups["name"].Value] = value.Groups["value"].Value;
    }

    private static bool? Taken(Match jump, int slot, int next)
    {
        var target = slot + 1 + int.Parse(jump.Groups["to"].Value, CultureInfo.InvariantCulture);
        return target == slot + 1 ? null : next == target ? true : next == slot + 1 ? false : null;
    }

    // How the comparison must go, where its operands tell.
    private static bool? Outcome(Match jump, Dictionary<string, string> values)
    {
        var (a, b, operation) = (jump.Groups["a"].Value, jump.Groups["b"].Value, jump.Groups["op"].Value);
        if (jump.Groups["w"].Value == "r" && a != b)
        {
            var (x, y) = (StackOffset(values.GetValueOrDefault("R" + a)), StackOffset(values.GetValueOrDefault("R" + b)));
            if (x is null || y is null || x.Value.Frame != y.Value.Frame) return null;
            return operation switch
            {
                "==" => x.Value.Offset == y.Value.Offset,
                "!=" => x.Value.Offset != y.Value.Offset,
                ">" => x.Value.Offset > y.Value.Offset,
                ">=" => x.Value.Offset >= y.Value.Offset,
                "<" => x.Value.Offset < y.Value.Offset,
                "<=" => x.Value.Offset <= y.Value.Offset,
                _ => null,
            };
        }
        if (a != b) return null;
        return operation switch { "==" or ">=" or "<=" or "s>=" or "s<=" => true, "&" => null, _ => false };
    }

    private static (string Frame, int Offset)? StackOffset(string? value) =>
        value is not null && StackPointer().Match(value) is { Success: true } pointer
            ? (pointer.Groups["frame"].Value, pointer.Groups["offset"].Value is { Length: > 0 } offset ? int.Parse(offset, CultureInfo.InvariantCulture) : 0)
            : null;

    [GeneratedRegex(@"^(?<slot>\d+): \(")]
    private static partial Regex Step();

    [GeneratedRegex(@"^from (?<jump>\d+) to \d+:")]
    private static partial Regex Resumes();

    [GeneratedRegex(@"^\d+: \(..\) if (?<w>[rw])(?<a>\d+) (?<op>[^ ]+) [rw](?<b>\d+) goto pc(?<to>[-+]\d+)")]
    private static partial Regex Comparison();

    [GeneratedRegex(@"\b(?<name>R\d+)=(?<value>[^ ]+)")]
    private static partial Regex Register();

    [GeneratedRegex(@"^fp(\[(?<frame>\d+)\])?(?<offset>-?\d+)$")]
    private static partial Regex StackPointer();
}
