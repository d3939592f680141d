using System.Buffers.Binary;
using UringBpf.Bytecode;

namespace UringBpf.Conformance.Tests;

/// <summary>Every load, store and atomic row, at positive and negative offsets, aligned and not.</summary>
internal static class MemoryGrid
{
    private const int Size = 128, Middle = 80;

    public static IEnumerable<(OpcodeRow Row, ConformanceCase Case)> Cases()
    {
        foreach (var row in OpcodeTable.Rows.Where(row => row.IsMemory))
        {
            // Atomics must be aligned (RFC 9669 section 5.3 leaves it open, processors do not).
            var step = row.Operation is Operation.Load or Operation.LoadSignExtend or Operation.Store ? 1 : row.AccessBytes;
            foreach (var offset in new[] { 0, step, 3 * step, -step, -5 * step })
            {
                foreach (var test in row.IsAtomicReadModifyWrite ? Atomics(row, offset) : row.Operation is Operation.Store or Operation.StoreRelease ? Stores(row, offset) : [Loads(row, offset)])
                    yield return (row, test);
            }
        }
    }

    private static ConformanceCase Loads(OpcodeRow row, int offset) => new()
    {
        Name = Name(row, offset),
        Code = Assembler.Assemble($"r1 += {Middle}\n{Disassembler.Format(row.Encode(3, 1, (short)offset))}\nr0 = r3\nexit"),
        Runs =
        [
            .. Values.Registers.Select(value =>
            {
                var memory = Filled();
                BinaryPrimitives.WriteUInt64LittleEndian(memory.AsSpan(Middle + offset), value);
                var result = row.Operation == Operation.LoadSignExtend ? (ulong)(long)Reference.Signed(value, row.Bits) : (ulong)Reference.Unsigned(value, row.Bits);
                return new CaseRun(memory, result, memory);
            }),
        ],
    };

    private static IEnumerable<ConformanceCase> Stores(OpcodeRow row, int offset)
    {
        if (row.Source == OperandSource.Immediate)
        {
            foreach (var immediate in Values.Immediates)
                yield return Store($"{Name(row, offset)} {immediate}", row.Encode(1, 0, (short)offset, immediate), row, offset, [((ulong)(long)immediate, 0)]);
        }
        else
        {
            yield return Store(Name(row, offset), row.Encode(1, 3, (short)offset), row, offset, Values.Registers.Select(value => (value, value)));
        }
    }

    private static ConformanceCase Store(string name, Instruction instruction, OpcodeRow row, int offset, IEnumerable<(ulong Stored, ulong Operand)> values) => new()
    {
        Name = name,
        Code = Assembler.Assemble($"r3 = *(u64 *)(r1 + 0)\nr1 += {Middle}\n{Disassembler.Format(instruction)}\nr0 = r3\nexit"),
        Runs =
        [
            .. values.Select(value =>
            {
                var memory = Filled();
                BinaryPrimitives.WriteUInt64LittleEndian(memory, value.Operand);
                return new CaseRun(memory, value.Operand, Written(memory, offset, row.AccessBytes, value.Stored));
            }),
        ],
    };

    // Memory: the source at 0, r0 at 8, results at 16 (source) and 24 (r0), the operand at Middle + offset.
    private static IEnumerable<ConformanceCase> Atomics(OpcodeRow row, int offset)
    {
        var runs =
            from old in Values.Registers.Where((_, index) => index % 3 == 0)
            from source in Values.Registers.Where((_, index) => index % 4 == 1)
            from r0 in new[] { old, (uint)old, old ^ 0x100000000, source }
            select Run(old, source, r0);
        yield return new ConformanceCase
        {
            Name = Name(row, offset),
            Code = Assembler.Assemble($"""
                r6 = r1
                r6 += {Middle}
                r3 = *(u64 *)(r1 + 0)
                r0 = *(u64 *)(r1 + 8)
                {Disassembler.Format(row.Encode(6, 3, (short)offset))}
                *(u64 *)(r1 + 16) = r3
                *(u64 *)(r1 + 24) = r0
                r0 = 0
                exit
                """),
            Runs = [.. runs],
        };

        CaseRun Run(ulong old, ulong source, ulong r0)
        {
            var memory = Filled();
            BinaryPrimitives.WriteUInt64LittleEndian(memory.AsSpan(Middle + offset), old);
            BinaryPrimitives.WriteUInt64LittleEndian(memory, source);
            BinaryPrimitives.WriteUInt64LittleEndian(memory.AsSpan(8), r0);
            var expected = Reference.Atomic(row, old, source, r0);
            var after = Written(memory, offset, row.AccessBytes, expected.Memory);
            BinaryPrimitives.WriteUInt64LittleEndian(after.AsSpan(16), expected.Source);
            BinaryPrimitives.WriteUInt64LittleEndian(after.AsSpan(24), expected.R0);
            return new CaseRun(memory, 0, after);
        }
    }

    private static byte[] Filled() => [.. Enumerable.Range(0, Size).Select(i => (byte)(0xa0 + i))];

    private static byte[] Written(byte[] memory, int offset, int bytes, ulong value)
    {
        var after = (byte[])memory.Clone();
        for (var i = 0; i < bytes; i++) after[Middle + offset + i] = (byte)(value >> (8 * i));
        return after;
    }

    private static string Name(OpcodeRow row, int offset) => $"{Corpus.GridName(row)} at {offset}";
}
