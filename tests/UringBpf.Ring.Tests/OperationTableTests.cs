using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Ring.Tests;

/// <summary>The table of operations in docs/ring.md: each operation is in it once, and each back end has those that it says.</summary>
public sealed partial class OperationTableTests
{
    private const int EOpNotSupp = 95;
    private const int Portable = 5, Simulated = 6;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private static IEnumerable<IoUringOp> All => Enum.GetValues<IoUringOp>().Where(operation => operation != IoUringOp.Program);

    // The cells of each row, the opcodes' first.
    private static IEnumerable<string[]> Rows() =>
        Page().SkipWhile(line => !line.StartsWith("| opcode |", StringComparison.Ordinal)).Skip(2).TakeWhile(line => line.StartsWith('|'))
            .Select(line => line.Split('|').Select(cell => cell.Trim()).ToArray());

    private static string[] Page([System.Runtime.CompilerServices.CallerFilePath] string here = "") =>
        File.ReadAllLines(Path.Combine(Path.GetDirectoryName(here)!, "../../docs/ring.md"));

    // By their kernel names, as both are written.
    private static IEnumerable<IoUringOp> Named(string text) => Name().Matches(text)
        .Select(match => All.Where(operation => operation.ToString().Equals(match.Value.Replace("_", ""), StringComparison.OrdinalIgnoreCase)))
        .Select(found => found.Single());

    [GeneratedRegex("[A-Z][A-Z0-9_]+")]
    private static partial Regex Name();

    // "–": none; else all of the row, but those after "not".
    private static HashSet<IoUringOp> Has(int column)
    {
        var has = new HashSet<IoUringOp>();
        foreach (var row in Rows())
        {
            if (row[column] == "–") continue;
            Assert.NotEmpty(row[column]);
            var parts = row[column].Split("not ");
            Assert.InRange(parts.Length, 1, 2);
            has.UnionWith(Named(row[1]).Except(parts.Length > 1 ? Named(parts[1]) : []));
        }
        return has;
    }

    [Fact]
    public void Every_operation_is_in_the_table_once() => Assert.Equal(All, Rows().SelectMany(row => Named(row[1])).Order());

    [Fact]
    public async Task The_portable_back_end_has_what_the_table_says()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[100]), FileMode.Open, FileAccess.ReadWrite);
        await using var ring = Ring.Create(new RingOptions { Backend = RingBackendKind.Portable });
        await Compare(ring, (int)file.DangerousGetHandle(), Has(Portable));
    }

    [Fact]
    public async Task The_simulated_back_end_has_what_the_table_says()
    {
        const int readWrite = 2;
        var machine = new SimulationOptions { Files = ImmutableDictionary<string, ReadOnlyMemory<byte>>.Empty.Add("/data", new byte[100]) };
        await using var ring = Ring.Create(new RingOptions { Backend = RingBackendKind.Simulated, Simulation = machine });
        var file = await ring.OpenAsync("/data", readWrite);
        await Compare(ring, file, Has(Simulated));
        Assert.Equal(0, await ring.CloseAsync(file));
    }

    private static async Task Compare(Ring ring, int file, HashSet<IoUringOp> expected)
    {
        Assert.Equal(expected.Order(), ring.Features.Operations.Order());
        foreach (var operation in All)
        {
            var memory = GC.AllocateArray<byte>(4096, pinned: true);
            var result = await ring.SubmitAsync(Plausible(operation, file, memory)).AsTask().WaitAsync(s_patience);
            // What it has may fail, as the entry is a poor one, but not so.
            Assert.True(expected.Contains(operation) == (result != -EOpNotSupp), $"{operation} gave {result}");
        }
    }

    // One that names a file where there must be one, and empty paths and structures.
    private static unsafe Sqe Plausible(IoUringOp operation, int file, byte[] memory)
    {
        const int streamSocket = 1;
        var address = (ulong)(nint)System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(memory, 0);
        var entry = new Sqe { Opcode = operation, Fd = file, Address = address };
        switch (operation)
        {
            case IoUringOp.Nop or IoUringOp.AsyncCancel: return entry with { Fd = -1 };
            case IoUringOp.TimeoutRemove or IoUringOp.PollRemove: return entry with { Fd = -1 };
            case IoUringOp.Timeout: return entry with { Fd = -1, Length = 1 };
            case IoUringOp.PollAdd: return entry with { OpFlags = 1 };
            case IoUringOp.OpenAt2 or IoUringOp.StatX or IoUringOp.RenameAt or IoUringOp.SymlinkAt or IoUringOp.LinkAt: return entry with { Offset = address + 2048 };
            case IoUringOp.Socket: return entry with { Fd = 2, Offset = streamSocket };
            // Of an empty slot; and not of anything the process has.
            case IoUringOp.Close: return entry with { Fd = 0, FileIndex = 1 };
            case IoUringOp.Splice or IoUringOp.Tee: return entry with { FileIndex = (uint)file };
            default: return entry;
        }
    }
}
